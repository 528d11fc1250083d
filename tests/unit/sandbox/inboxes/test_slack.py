"""The Slack inbox is as strict as Slack, keeps what it was told, and clicks as Slack does."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from responder.clock import Clock
from responder.sandbox.api.server import run_server
from responder.sandbox.inboxes.slack_checks import check_blocks
from responder.sandbox.inboxes.slack_clicks import SlackHands, SlackUser, sign
from tests.shared import run_story
from tests.unit.sandbox.inboxes.serving import START, Desk, open_desk

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
ANNA = SlackUser("U0ANNA", "anna")


def text(said: str, kind: str = "mrkdwn") -> dict[str, Any]:
    return {"type": kind, "text": said}


def button(**changes: Any) -> dict[str, Any]:
    whole = {"type": "button", "action_id": "go", "text": text("Go", "plain_text"), "value": "v1"}
    return {**whole, **changes}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


SECTION = {"type": "section", "text": text("hello")}


def play(story: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            await story(desk)

    run_story(main())


async def call(desk: Desk, method: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {desk.slack_inbox.token if token is None else token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{desk.url}/api/{method}", json=body, headers=headers) as answer,
    ):
        found: dict[str, Any] = await answer.json()
        return {**found, "status": answer.status}


@pytest.mark.parametrize(
    ("method", "body", "token", "error"),
    [
        ("chat.postMessage", {}, "", "not_authed"),
        ("chat.postMessage", {}, "xoxb-other", "invalid_auth"),
        ("chat.postMessage", {"text": "x"}, None, "channel_not_found"),
        ("chat.postMessage", {"channel": "nowhere", "text": "x"}, None, "channel_not_found"),
        ("chat.postMessage", {"channel": "payments"}, None, "no_text"),
        ("chat.postMessage", {"channel": "payments", "text": "x" * 40_001}, None, "msg_too_long"),
        ("chat.postMessage", {"channel": "payments", "blocks": [{"type": "x"}]}, None, "invalid_blocks"),
        (
            "chat.postMessage",
            {"channel": "payments", "text": "x", "metadata": {"event_type": ""}},
            None,
            "invalid_metadata_format",
        ),
        (
            "chat.postMessage",
            {"channel": "payments", "text": "x", "thread_ts": "1.0"},
            None,
            "thread_not_found",
        ),
        ("chat.update", {"channel": "payments", "ts": "1.0", "text": "x"}, None, "channel_not_found"),
        ("chat.update", {"channel": "C0PAYMENTS", "ts": "1.0", "text": "x"}, None, "message_not_found"),
        ("conversations.history", {"channel": "payments"}, None, "channel_not_found"),
        ("chat.postEphemeral", {"channel": "payments", "text": "x"}, None, "user_not_in_channel"),
        ("chat.shout", {}, None, "unknown_method"),
    ],
)
def test_refusals(method: str, body: dict[str, Any], token: str | None, error: str) -> None:
    async def story(desk: Desk) -> None:
        answer = await call(desk, method, body, token)
        assert (answer["status"], answer["ok"], answer["error"]) == (200, False, error)
        assert desk.slack_inbox.messages == []

    play(story)


def test_an_app_that_was_not_invited_is_refused() -> None:
    async def story(desk: Desk) -> None:
        desk.slack_inbox.joined.clear()
        answer = await call(desk, "chat.postMessage", {"channel": "payments", "text": "x"})
        assert answer["error"] == "not_in_channel"

    play(story)


def test_history_shows_metadata_only_when_asked_and_no_replies() -> None:
    async def story(desk: Desk) -> None:
        metadata = {"event_type": "e", "event_payload": {"k": "v"}}
        first = await call(
            desk, "chat.postMessage", {"channel": "#payments", "text": "a", "metadata": metadata}
        )
        await call(desk, "chat.postMessage", {"channel": "payments", "text": "r", "thread_ts": first["ts"]})
        await call(desk, "chat.postMessage", {"channel": "payments", "text": "b"})
        plain = await call(desk, "conversations.history", {"channel": "C0PAYMENTS"})
        assert [each["text"] for each in plain["messages"]] == ["b", "a"]
        assert "metadata" not in plain["messages"][1]
        whole = {"channel": "C0PAYMENTS", "include_all_metadata": True, "oldest": "0", "limit": 1}
        page = await call(desk, "conversations.history", whole)
        assert page["has_more"]
        rest = {**whole, "cursor": page["response_metadata"]["next_cursor"]}
        last = await call(desk, "conversations.history", rest)
        assert last["messages"][0]["metadata"] == metadata
        assert not last["has_more"]

    play(story)


def test_message_stamps_are_unique_and_rise() -> None:
    async def story(desk: Desk) -> None:
        answers = [
            await call(desk, "chat.postMessage", {"channel": "payments", "text": "x"}) for _ in range(3)
        ]
        stamps = [answer["ts"] for answer in answers]
        assert stamps == sorted(set(stamps))

    play(story)


def test_an_update_without_blocks_keeps_them() -> None:
    async def story(desk: Desk) -> None:
        posted = await call(
            desk, "chat.postMessage", {"channel": "payments", "text": "a", "blocks": [SECTION]}
        )
        await call(desk, "chat.update", {"channel": "C0PAYMENTS", "ts": posted["ts"], "text": "b"})
        message = desk.slack_inbox.messages[0]
        assert [(each.text, each.blocks) for each in message.versions] == [
            ("a", (SECTION,)),
            ("b", (SECTION,)),
        ]

    play(story)


def test_more_than_one_message_a_second_is_limited_when_switched_on() -> None:
    async def story(desk: Desk) -> None:
        desk.slack_inbox.limits_rate = True
        body = {"channel": "payments", "text": "x"}
        assert (await call(desk, "chat.postMessage", body))["ok"]
        refused = await call(desk, "chat.postMessage", body)
        assert (refused["status"], refused["error"]) == (429, "ratelimited")
        assert (await call(desk, "chat.postMessage", {**body, "channel": "alerts"}))["ok"]
        await desk.clock.sleep(1)
        assert (await call(desk, "chat.postMessage", body))["ok"]

    play(story)


def test_more_updates_a_minute_than_their_tier_has_are_limited_when_switched_on() -> None:
    async def story(desk: Desk) -> None:
        desk.slack_inbox.limits_rate = True
        posted = await call(desk, "chat.postMessage", {"channel": "payments", "text": "x"})
        body = {"channel": "C0PAYMENTS", "ts": posted["ts"], "text": "y"}
        codes = [(await call(desk, "chat.update", body))["status"] for _ in range(51)]
        assert codes == [200] * 50 + [429]
        await desk.clock.sleep(60)
        assert (await call(desk, "chat.update", body))["ok"]

    play(story)


def test_blocks_that_are_too_long_together_are_refused_though_each_is_fine() -> None:
    async def story(desk: Desk) -> None:
        long = {"type": "section", "text": text("x" * 3000)}
        fits = await call(desk, "chat.postMessage", {"channel": "payments", "blocks": [long] * 4})
        assert fits["ok"]
        answer = await call(desk, "chat.postMessage", {"channel": "payments", "blocks": [long] * 5})
        assert answer["error"] == "msg_blocks_too_long"

    play(story)


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([SECTION] * 51, "no more than 50 items"),
        ({}, "must provide an array"),
        (["x"], "must be an object"),
        ([{"type": "section"}], "either text or fields"),
        ([{"type": "section", "text": text("x" * 3001)}], "less than 3001 characters"),
        ([{"type": "section", "text": text("")}], "more than 0 characters"),
        ([{"type": "section", "text": "x"}], "must be a text object"),
        ([{"type": "section", "text": {**text("x"), "emoji": True}}], "invalid additional property: emoji"),
        ([{"type": "header", "text": text("x")}], "must be a text object of type plain_text"),
        ([{"type": "context", "elements": [text("x")] * 11}], "no more than 10 items"),
        ([{"type": "context", "elements": []}], "at least 1 item"),
        ([actions(*[button(action_id=f"a{n}") for n in range(26)])], "no more than 25 items"),
        ([actions(button(), button())], "action_id `go` already exists"),
        ([actions(button()), actions(button())], "action_id `go` already exists"),
        ([actions(button(value="v" * 2001))], "less than 2001 characters"),
        ([actions(button(text=text("x" * 76, "plain_text")))], "less than 76 characters"),
        ([actions(button(action_id="x" * 256))], "less than 256 characters"),
        ([actions(button(style="loud"))], "primary, danger"),
        ([actions(button(confirm={"text": text("sure?")}))], "/confirm/title"),
        ([{**SECTION, "block_id": "b"}, {**SECTION, "block_id": "b"}], "block_id `b` already exists"),
    ],
)
def test_blocks_that_slack_refuses(blocks: object, problem: str) -> None:
    assert problem in " ".join(check_blocks(blocks))


def test_blocks_that_slack_takes() -> None:
    dialog = {key: text("x", "plain_text") for key in ("title", "text", "confirm", "deny")}
    blocks = [
        {"type": "header", "text": {**text("x" * 150, "plain_text"), "emoji": True}},
        {"type": "section", "text": text("x" * 3000), "block_id": "b"},
        {"type": "divider"},
        actions(button(value="v" * 2000, style="danger", confirm=dialog)),
        {"type": "context", "elements": [text("x")]},
    ]
    assert check_blocks(blocks) == []


Received = list[tuple[dict[str, str], bytes]]


async def post_button(desk: Desk) -> None:
    body = {"channel": "payments", "text": "a", "blocks": [actions(button())]}
    assert (await call(desk, "chat.postMessage", body))["ok"]


def app_of(received: Received, clock: Clock, seconds: float = 0.0, status: int = 200) -> web.Application:
    async def take(request: web.Request) -> web.Response:
        received.append((dict(request.headers), await request.read()))
        await clock.sleep(seconds)
        return web.Response(status=status)

    app = web.Application()
    app.add_routes([web.post("/slack/interactions", take)])
    return app


def test_a_click_is_signed_and_carries_the_button() -> None:
    async def story(desk: Desk) -> None:
        received: Received = []
        await desk.clock.sleep(90)
        await post_button(desk)
        message = desk.slack_inbox.messages[0]
        async with run_server(app_of(received, desk.clock)) as url:
            hands = SlackHands(desk.slack_inbox, SECRET, f"{url}/slack/interactions")
            assert (await hands.click(message, "go", ANNA)).taken
        headers, body = received[0]
        assert headers["X-Slack-Request-Timestamp"] == str(int(START.timestamp()) + 90)
        expected = SignatureVerifier(SECRET).generate_signature(
            timestamp=headers["X-Slack-Request-Timestamp"], body=body
        )
        assert headers["X-Slack-Signature"] == expected
        payload = json.loads(parse_qs(body.decode())["payload"][0])
        assert payload["type"] == "block_actions"
        assert payload["user"]["id"] == "U0ANNA"
        assert payload["container"] == {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": "C0PAYMENTS",
            "is_ephemeral": False,
        }
        assert payload["actions"][0]["value"] == "v1"
        assert payload["response_url"].startswith(f"{desk.url}/actions/")

    play(story)


def test_the_signature_of_slacks_own_example() -> None:
    # Source: https://docs.slack.dev/authentication/verifying-requests-from-slack/
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert sign(SECRET, "1531420618", body) == expected


def test_an_app_that_does_not_answer_within_three_seconds_has_failed() -> None:
    async def story(desk: Desk) -> None:
        await post_button(desk)
        async with run_server(app_of([], desk.clock, seconds=4)) as url:
            hands = SlackHands(desk.slack_inbox, SECRET, f"{url}/slack/interactions")
            result = await hands.click(desk.slack_inbox.messages[0], "go", ANNA)
            assert (result.status, result.taken) == (None, False)
            assert result.seconds == pytest.approx(3, abs=0.1)
            await desk.clock.sleep(2)  # the app's own answer comes to nothing

    play(story)


def test_a_button_of_an_older_version_can_still_be_clicked_but_no_unknown_one() -> None:
    async def story(desk: Desk) -> None:
        await post_button(desk)
        message = desk.slack_inbox.messages[0]
        await call(
            desk, "chat.update", {"channel": "C0PAYMENTS", "ts": message.ts, "text": "b", "blocks": []}
        )
        hands = SlackHands(desk.slack_inbox, SECRET, "http://unused.example/")
        assert hands.payload(message, "go", ANNA, version=0)["actions"][0]["value"] == "v1"
        with pytest.raises(LookupError, match="no button go"):
            hands.payload(message, "go", ANNA)

    play(story)
