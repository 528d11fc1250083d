"""The inboxes served over loopback, with our clients pointed at them, on the running virtual-time loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from responder.clients.pagerduty import PagerDuty
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.sandbox.api.server import run_server
from responder.sandbox.inboxes.app import Inboxes, inboxes_app
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
async def open_desk() -> AsyncIterator[Desk]:
    """Inboxes and clients that work."""
    clock = LoopClock(START)
    inboxes = Inboxes(SlackInbox(clock), PagerDutyInbox(clock))
    async with run_server(inboxes_app(inboxes)) as url:
        inboxes.slack.public_url = url
        slack = Slack(SecretStr(inboxes.slack.token), f"{url}/api/")
        pagerduty = PagerDuty(SecretStr(inboxes.pagerduty.routing_key), url)
        try:
            yield Desk(url, clock, inboxes, slack, pagerduty)
        finally:
            await slack.close()
