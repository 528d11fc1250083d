"""The inboxes served over loopback, with our clients pointed at them, on the running virtual-time loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web
from pydantic import SecretStr

from responder.clients.pagerduty import PagerDuty
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.sandbox.inboxes.app import Inboxes, serve_inboxes
from responder.sandbox.inboxes.pagerduty import PagerDutyInbox
from responder.sandbox.inboxes.slack import SlackInbox
from responder.sandbox.virtual_time import LoopClock

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """The inboxes and those who write to them."""

    url: str
    clock: Clock
    inboxes: Inboxes
    slack: Slack
    pagerduty: PagerDuty

    @property
    def slack_inbox(self) -> SlackInbox:
        return self.inboxes.slack

    @property
    def pagerduty_inbox(self) -> PagerDutyInbox:
        return self.inboxes.pagerduty


@asynccontextmanager
async def serve(app: web.Application) -> AsyncIterator[str]:
    """Serve an app on a free port and yield its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    """Inboxes and clients that work."""
    clock = LoopClock(START)
    inboxes = Inboxes(SlackInbox(clock), PagerDutyInbox(clock))
    async with serve_inboxes(inboxes) as url:
        slack = Slack(SecretStr(inboxes.slack.token), f"{url}/api/")
        pagerduty = PagerDuty(SecretStr(inboxes.pagerduty.routing_key), url)
        try:
            yield Desk(url, clock, inboxes, slack, pagerduty)
        finally:
            await slack.close()
