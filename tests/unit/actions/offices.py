"""A notifier with its inboxes and records, for tests of what people are told."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from responder.actions.notify import Notifier, Told
from responder.errors import Temporary
from responder.incidents.model import Condition, Incident, Status
from responder.incidents.notifications import Notifications
from responder.rules.model import Channel
from responder.term import Term
from tests.shared import run_story
from tests.unit.actions.build import rule_file
from tests.unit.sandbox.inboxes.serving import Desk, open_desk


@dataclass
class Records:
    """A store of notifications that can fail, and says what came in which order."""

    failures: int = 0
    written: list[Notifications] = field(default_factory=list)
    stands: dict[str, Notifications] = field(default_factory=dict)
    conditions: dict[str, Condition] = field(default_factory=dict)

    async def record_told(self, incident: Incident, change: Callable[[Status], Status]) -> Incident:
        if self.failures > 0:
            self.failures -= 1
            raise Temporary("The API server does not answer.")
        uid = incident.metadata.uid
        stands = self.stands.get(uid, Notifications())
        status = change(incident.status.model_copy(update={"notifications": stands}))
        self.stands[uid] = status.notifications
        self.written.append(status.notifications)
        self.conditions = {each.type: each for each in status.conditions}
        return incident.model_copy(update={"status": status})


@dataclass
class Office:
    """A notifier with its inboxes and records."""

    desk: Desk
    records: Records
    notifier: Notifier
    counted: list[tuple[Channel, str]]

    async def notify(self, state: Incident) -> Told:
        return await self.notifier.notify(state, rule_file())

    async def insist(self, state: Incident) -> None:
        """Call again whenever the notifier says so, as the driver does."""
        for _ in range(100):
            told = await self.notify(state)
            if told.retry_at is None:
                return
            pause = (told.retry_at - self.desk.clock.now()).total_seconds()
            assert pause > 0
            await self.desk.clock.sleep(pause)
        pytest.fail("never told")

    def restarted(self) -> Office:
        """The same after the process died: only the record is left."""
        return open_office(self.desk, self.records)


def open_office(
    desk: Desk, records: Records | None = None, term: Term | None = None, channel: str = "C0ALERTS00"
) -> Office:
    records = records if records is not None else Records()
    counted: list[tuple[Channel, str]] = []
    notifier = Notifier(
        slack=desk.slack if term is None else desk.slack.during(term),
        pagerduty=desk.pagerduty if term is None else desk.pagerduty.during(term),
        store=records,
        clock=desk.clock,
        default_channel=channel,
        count=lambda channel, result: counted.append((channel, result)),
        term=term or Term(math.inf),
    )
    return Office(desk, records, notifier, counted)


def play(story: Callable[[Office], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            await story(open_office(desk))

    run_story(main())


def told_as(state: Incident, notifications: Notifications) -> Incident:
    """The incident as it reads once its notifications are recorded."""
    status = state.status.model_copy(update={"notifications": notifications})
    return state.model_copy(update={"status": status})
