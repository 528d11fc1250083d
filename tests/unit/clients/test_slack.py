"""One message, updated and found again; every refusal says what to do, every silence has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr

from responder.clients.slack import Slack, SlackRefused, SlackUnavailable, parse_response_url
from responder.sandbox.api.faults import DropAfter, DropBefore, Effect, FaultRule, Hang, Refuse
from responder.sandbox.api.server import run_server
from tests.shared import run_story
from tests.unit.sandbox.inboxes.serving import START, Desk, open_desk

BLOCKS = [{"type": "header", "text": {"type": "plain_text", "text": "Hello"}}]
SINCE = START - timedelta(minutes=5)


def play(story: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            await story(desk)

    run_story(main())


def test_posts_by_name_updates_by_id_and_replies_in_the_thread() -> None:
    async def story(desk: Desk) -> None:
        channel, ts = await desk.slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
        assert channel == "C0PAYMENTS"
        await desk.slack.update(channel, ts, BLOCKS, "hello again")
        await desk.slack.reply(channel, ts, "a detail")
        message, reply = desk.slack_inbox.messages
        assert [version.text for version in message.versions] == ["hello", "hello again"]
        assert reply.thread_ts == ts

    play(story)


def test_finds_the_message_of_an_incident_and_no_other() -> None:
    async def story(desk: Desk) -> None:
        for number in range(450):  # three pages of history
            await desk.slack.post("payments", BLOCKS, "hello", incident_uid=f"u{number}")
        await desk.slack.post("alerts", BLOCKS, "hello", incident_uid="elsewhere")
        oldest = desk.slack_inbox.messages[0]
        assert await desk.slack.find_by_metadata("#payments", "u0", SINCE) == ("C0PAYMENTS", oldest.ts)
        assert await desk.slack.find_by_metadata("C0PAYMENTS", "u0", SINCE) == ("C0PAYMENTS", oldest.ts)
        assert await desk.slack.find_by_metadata("#payments", "elsewhere", SINCE) is None
        assert await desk.slack.find_by_metadata("#payments", "u0", START + timedelta(hours=1)) is None
        assert desk.slack_inbox.calls.count("conversations.list") == 1

    play(story)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("invalid_auth", "check the bot token"),
        ("not_in_channel", "invite the app"),
        ("channel_not_found", "check the channel's name"),
        ("is_archived", "unarchive the channel"),
        ("missing_scope", "add the scope"),
        ("token_revoked", "install the app again"),
    ],
)
def test_a_refusal_says_what_to_do(error: str, advice: str) -> None:
    async def story(desk: Desk) -> None:
        desk.slack_inbox.errors["chat.postMessage"] = error
        with pytest.raises(SlackRefused, match=advice) as refused:
            await desk.slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
        assert refused.value.error == error
        assert error in str(refused.value)
        assert desk.slack_inbox.token not in str(refused.value)

    play(story)


def test_blocks_that_slack_does_not_take_are_named() -> None:
    async def story(desk: Desk) -> None:
        long = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
        with pytest.raises(SlackRefused, match=r"invalid_blocks.*less than 151.*/blocks/0/text/text"):
            await desk.slack.post("#payments", [long], "hello", incident_uid="u1")

    play(story)


@pytest.mark.parametrize(
    ("effect", "arrives"),
    [
        (Refuse(503), False),
        (Refuse(500), False),
        (DropBefore(), False),
        (DropAfter(), True),
        (Hang(), False),
        (Hang(after_effect=True), True),
    ],
)
def test_an_unclear_answer_is_never_followed_by_a_second_post(effect: Effect, arrives: bool) -> None:
    async def story(desk: Desk) -> None:
        desk.slack_inbox.faults.add(FaultRule("*", "chat.postMessage", effect))
        started = asyncio.get_running_loop().time()
        with pytest.raises(SlackUnavailable):
            await desk.slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
        assert asyncio.get_running_loop().time() - started <= 10
        assert len(desk.slack_inbox.faults.taken) == 1
        assert len(desk.slack_inbox.messages) == arrives

    play(story)


def test_a_rate_limit_is_told_not_waited_out() -> None:
    async def story(desk: Desk) -> None:
        desk.slack_inbox.limits_rate = True
        await desk.slack.post("#payments", BLOCKS, "first", incident_uid="u1")
        with pytest.raises(SlackUnavailable) as refused:
            await desk.slack.post("#payments", BLOCKS, "second", incident_uid="u2")
        assert refused.value.retry_after_seconds == 1
        assert asyncio.get_running_loop().time() < 1

    play(story)


def test_a_dead_host_is_unavailable() -> None:
    async def main() -> None:
        slack = Slack(SecretStr("xoxb-secret"), "http://127.0.0.1:1/api/")
        try:
            with pytest.raises(SlackUnavailable) as failed:
                await slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
            assert "xoxb-secret" not in str(failed.value)
        finally:
            await slack.close()

    run_story(main())


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("sign in to the network", "text/plain"), ("<html>", "text/html"), ("{", "application/json")],
)
def test_a_strangers_page_is_no_answer(body: str, content_type: str) -> None:
    async def main() -> None:
        async def page(_request: web.Request) -> web.Response:
            return web.Response(text=body, content_type=content_type)

        app = web.Application()
        app.add_routes([web.post("/api/chat.postMessage", page)])
        async with run_server(app) as url:
            slack = Slack(SecretStr("t"), f"{url}/api/")
            try:
                with pytest.raises(SlackUnavailable):
                    await slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
            finally:
                await slack.close()

    run_story(main())


def test_answers_a_click_for_the_one_who_clicked() -> None:
    async def story(desk: Desk) -> None:
        await desk.slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
        url = desk.slack_inbox.open_response_url(desk.slack_inbox.messages[0], "U0ANNA")
        for _ in range(5):
            await desk.slack.answer_click(url, "Recorded.")
        assert [(each.user, each.text) for each in desk.slack_inbox.ephemerals] == [
            ("U0ANNA", "Recorded.")
        ] * 5
        with pytest.raises(SlackRefused, match="404"):
            await desk.slack.answer_click(url, "Recorded.")

    play(story)


@pytest.mark.parametrize(
    ("response_url", "allowed"),
    [
        ("https://hooks.slack.com/actions/T0/1/x", True),
        ("https://slack.com/actions/T0/1/x", True),
        ("http://hooks.slack.com/actions/T0/1/x", False),
        ("https://hooks.slack.com:8443/actions/T0/1/x", False),
        ("https://hooks.slack.com.evil.example/actions", False),
        ("https://evil.example/?hooks.slack.com", False),
        ("https://hooks.slack.com@evil.example/", False),
        ("http://169.254.169.254/latest", False),
        ("//hooks.slack.com/x", False),
        ("", False),
        ("https://[broken", False),
    ],
)
def test_answers_go_to_slack_alone(response_url: str, allowed: bool) -> None:
    if allowed:
        assert str(parse_response_url(response_url, "https://slack.com/api/")) == response_url
        return
    with pytest.raises(SlackRefused):
        parse_response_url(response_url, "https://slack.com/api/")
