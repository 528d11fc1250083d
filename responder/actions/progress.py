"""What this process knows of one incident's messages: told, recorded, failed, and when to look again.

Ahead of the incident's record where a write failed, behind it where another writer was faster. For notify.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from responder.actions.attempts import FIRST_RETRY, Failure, fail, resume
from responder.errors import ResponderError
from responder.incidents.advance import with_condition
from responder.incidents.model import Condition, Incident, Status
from responder.incidents.notifications import Notifications, merge
from responder.incidents.phases import Phase

Step: TypeAlias = Literal["slack", "pagerduty", "change", "record"]


@dataclass(slots=True)
class Progress:
    """One incident's. Hold the lock while anything is said of it, so that it is said in order."""

    incident: Incident
    told: Notifications = field(init=False)
    recorded: Notifications = field(init=False)
    conclusion: Condition | None = None
    failures: dict[Step, Failure] = field(default_factory=dict)
    waits: list[datetime] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.told = self.recorded = self.incident.status.notifications
        if self.told.slack_failing is not None:
            self.failures["slack"] = resume(self.told.slack_failing)
        if self.told.pagerduty_failing is not None:
            self.failures["pagerduty"] = resume(self.told.pagerduty_failing)

    @property
    def concluded(self) -> bool:
        """True once the incident is closed and says itself whether people were told."""
        status = self.incident.status
        return status.phase is Phase.CLOSED and any(each.type == "Told" for each in status.conditions)

    @property
    def unrecorded(self) -> bool:
        """True while the record lacks something."""
        return self.told != self.recorded or self.conclusion is not None

    def learn(self, given: Incident) -> None:
        """Go on from the newest state; what another writer told is merged with what was told here."""
        newer = _compare(given, self.incident)
        if newer < 0:
            return
        self.incident = given
        stored = given.status.notifications
        if newer > 0 and stored != self.recorded:
            self.told, self.recorded = merge(self.recorded, self.told, stored), stored

    def change(self) -> Callable[[Status], Status]:
        """What to make of the incident's newest status: pure, for it may be called again."""
        recorded, told, conclusion = self.recorded, self.told, self.conclusion

        def change(status: Status) -> Status:
            merged = merge(recorded, told, status.notifications)
            status = status.model_copy(update={"notifications": merged})
            if conclusion is None:
                return status
            said = conclusion
            return with_condition(
                status, said.type, said.status, said.reason, said.message, said.last_transition_time
            )

        return change

    def keep(self, stored: Incident, now: datetime) -> None:
        """Take over what was written; where another one had told something else, look again soon."""
        if stored.status.notifications != self.told:
            self.waits.append(now + FIRST_RETRY)
        self.incident = stored
        self.told = self.recorded = stored.status.notifications
        self.conclusion = None

    def forget_failure(self, step: Step) -> None:
        """The step was taken, or there is nothing left to say by it."""
        self.failures.pop(step, None)
        self._note_failing(step, None)

    def note_failure(self, step: Step, digest: str, error: ResponderError, now: datetime) -> None:
        """The step failed; it is due again later."""
        failure = fail(self.failures.get(step), digest, error, now)
        self.failures[step] = failure
        self.waits.append(failure.due_at)
        if failure.worth_recording:
            self._note_failing(step, failure)

    def _note_failing(self, step: Step, failure: Failure | None) -> None:
        if step in ("slack", "pagerduty"):
            failing = None if failure is None else failure.as_record()
            self.told = self.told.model_copy(update={f"{step}_failing": failing})


def _compare(one: Incident, other: Incident) -> int:
    """Positive when `one` is the newer state, negative when it is older, 0 where that can't be told.

    Source: Kubernetes KEP-5504: resource versions of one resource compare as integers.
    """
    left, right = one.metadata.resource_version, other.metadata.resource_version
    if not (left.isdecimal() and right.isdecimal()):
        return 0
    return int(left) - int(right)
