"""The page shows both inboxes, trusts no text in them, and its buttons click."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from responder.sandbox.api.server import run_server
from responder.sandbox.inboxes.slack_clicks import SlackHands
from tests.shared import run_story
from tests.unit.sandbox.inboxes.serving import Desk, open_desk

BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "Alert <b>"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Bold* `code` &lt;i&gt; <!date^1^{time}|noon>"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "<script>alert(1)</script> <<script>>"}},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "small print"}]},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": 'a"><script>',
                "text": {"type": "plain_text", "text": "Roll back"},
                "value": "v",
                "style": "danger",
            }
        ],
    },
]


def play(story: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            await story(desk)

    run_story(main())


async def page(desk: Desk) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{desk.url}/") as answer:
        assert answer.content_type == "text/html"
        return await answer.text()


def test_an_empty_page_says_so() -> None:
    async def story(desk: Desk) -> None:
        text = await page(desk)
        assert "No message yet." in text
        assert "Nobody was paged yet." in text

    play(story)


def test_messages_and_alerts_are_shown_and_never_run() -> None:
    async def story(desk: Desk) -> None:
        channel, ts = await desk.slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
        await desk.slack.reply(channel, ts, "a reply")
        payload = {"summary": "<script>", "source": "s", "severity": "info"}
        await desk.pagerduty.send("trigger", "u1", payload)
        text = await page(desk)
        for part in (
            "Alert &lt;b&gt;",
            "<b>Bold</b> <code>code</code> &lt;i&gt; noon",
            "small print",
            "Roll back",
            "↳ a reply",
            "#payments",
            'class="triggered"',
            "· paged once ·",
            "&lt;script&gt;",
        ):
            assert part in text
        assert "<script" not in text
        assert "edited" not in text
        for times in ("edited once", "edited 2 times"):
            await desk.slack.update(channel, ts, BLOCKS, times)
            assert f" UTC · {times}<" in await page(desk)

    play(story)


def test_a_click_on_the_page_reaches_the_app() -> None:
    async def story(desk: Desk) -> None:
        clicked: list[str] = []

        async def take(request: web.Request) -> web.Response:
            clicked.append(str((await request.post())["payload"]))
            return web.Response()

        app = web.Application()
        app.add_routes([web.post("/slack/interactions", take)])
        _, ts = await desk.slack.post("#payments", BLOCKS, "hello", incident_uid="u1")
        form = {"ts": ts, "action_id": 'a"><script>'}
        async with run_server(app) as url, aiohttp.ClientSession() as session:
            async with session.post(f"{desk.url}/click", data=form) as answer:
                assert answer.status == 404
            desk.inboxes.hands = SlackHands(desk.slack_inbox, "secret", f"{url}/slack/interactions")
            async with session.post(f"{desk.url}/click", data=form, allow_redirects=False) as answer:
                assert answer.status == 303
            async with session.post(f"{desk.url}/click", data={**form, "action_id": "x"}) as answer:
                assert answer.status == 409
        assert len(clicked) == 1
        assert "U0VISITOR" in clicked[0]

    play(story)
