"""The independent truth: which revision and which pod every simulated request went to, and when.

Told by the traffic, one record a tick; judges tests and the demo. It reads no EndpointSlice, no metric, and
nothing that can be edited in a pod, so it can contradict all of them. The oldest ticks are forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MAX_TICKS = 100_000
"""Almost seven hours of quarter-second ticks."""

MAX_REVISIONS = 1_000


@dataclass(frozen=True, slots=True)
class Recipient:
    """The pod that answered, and the revision whose template it was made from, whoever owns it now."""

    replica_set_uid: str
    replica_set: str
    pod_template_hash: str
    pod_uid: str
    pod: str


@dataclass(slots=True)
class Tally:
    """Requests answered, and how many of them with an error."""

    requests: int = 0
    errors: int = 0

    @property
    def error_share(self) -> float:
        """Errors per request, 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    def add(self, other: Tally) -> None:
        """Count the other's requests too."""
        self.requests += other.requests
        self.errors += other.errors


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened since the tick before; `refused` found nobody who would take the connection."""

    at: datetime
    answered: Mapping[Recipient, Tally]
    refused: int


@dataclass(slots=True)
class Slot:
    """One step of a timeline: tallies by ReplicaSet UID."""

    at: datetime
    revisions: dict[str, Tally] = field(default_factory=dict)
    refused: int = 0


class Oracle:
    """Remembers ticks; every question is about the half-open interval since < at <= until."""

    def __init__(self, max_ticks: int = MAX_TICKS) -> None:
        self._ticks: deque[Tick] = deque(maxlen=max_ticks)
        self._first: dict[str, datetime] = {}
        self._last: dict[str, datetime] = {}
        self._hashes: dict[str, str] = {}

    def record(self, tick: Tick) -> None:
        """Remember a tick; ticks come in the order of time."""
        self._ticks.append(tick)
        for recipient in tick.answered:
            uid = recipient.replica_set_uid
            self._first.setdefault(uid, tick.at)
            self._last.pop(uid, None)
            self._last[uid] = tick.at
            self._hashes[uid] = recipient.pod_template_hash
        while len(self._last) > MAX_REVISIONS:
            oldest = next(iter(self._last))
            del self._last[oldest], self._first[oldest], self._hashes[oldest]

    def requests_by_revision(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, Tally]:
        """Requests answered, by ReplicaSet UID."""
        totals: dict[str, Tally] = {}
        for tick in self._between(since, until):
            for recipient, tally in tick.answered.items():
                totals.setdefault(recipient.replica_set_uid, Tally()).add(tally)
        return totals

    def requests_by_pod(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, Tally]:
        """Requests answered, by pod name."""
        totals: dict[str, Tally] = {}
        for tick in self._between(since, until):
            for recipient, tally in tick.answered.items():
                totals.setdefault(recipient.pod, Tally()).add(tally)
        return totals

    def refused(self, since: datetime | None = None, until: datetime | None = None) -> int:
        """Requests that no pod took: no endpoint known, or the pod was already gone."""
        return sum(tick.refused for tick in self._between(since, until))

    def error_share(self, since: datetime | None = None, until: datetime | None = None) -> float:
        """The share of all requests that failed for the client, refused ones included."""
        total = Tally()
        for tally in self.requests_by_revision(since, until).values():
            total.add(tally)
        refused = self.refused(since, until)
        total.add(Tally(refused, refused))
        return total.error_share

    def first_request_to(self, replica_set_uid: str) -> datetime | None:
        """When the revision first answered a request."""
        return self._first.get(replica_set_uid)

    def last_request_to(self, replica_set_uid: str) -> datetime | None:
        """When the revision last answered a request."""
        return self._last.get(replica_set_uid)

    def template_hash(self, replica_set_uid: str) -> str:
        """The pod-template-hash of a revision that answered, "" when it never did."""
        return self._hashes.get(replica_set_uid, "")

    def timeline(
        self, step: timedelta, since: datetime | None = None, until: datetime | None = None
    ) -> list[Slot]:
        """Tallies by revision for each step from the first tick on; steps without ticks are left out."""
        slots: list[Slot] = []
        start: datetime | None = None
        for tick in self._between(since, until):
            start = start or tick.at
            at = start + step * ((tick.at - start) // step)
            if not slots or slots[-1].at != at:
                slots.append(Slot(at))
            slots[-1].refused += tick.refused
            for recipient, tally in tick.answered.items():
                slots[-1].revisions.setdefault(recipient.replica_set_uid, Tally()).add(tally)
        return slots

    def _between(self, since: datetime | None, until: datetime | None) -> Iterator[Tick]:
        for tick in self._ticks:
            if (since is None or tick.at > since) and (until is None or tick.at <= until):
                yield tick
