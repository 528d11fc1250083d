"""One cell of the table: the story of a bad release, with one fault that begins at one moment of it.

Played on virtual time, judged from outside: by the store, the request log, the oracle and the inboxes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from responder.app import running
from responder.sandbox.api.skewed_clock import SkewedClock
from responder.sandbox.api.store import Event
from responder.tasks import alongside
from tests.faults.befalling import FAULTS, Fault, Ground, count_hits
from tests.flow.harness import INCIDENTS, SHORT, Stage, stage
from tests.shared import run_story


class Moment(StrEnum):
    """Where in the story the fault begins."""

    BEFORE = "before the release"
    ON_ITS_WAY = "alert on its way"
    DECIDING = "deciding"
    UNDOING = "undoing"
    PROVING_TRAFFIC = "proving traffic"
    PROVING_RECOVERY = "proving recovery"
    SETTLING = "settling"


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault, by its name, and a moment."""

    fault: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.fault}, {self.moment}"


@dataclass(frozen=True, slots=True)
class Played:
    """What a cell came to: the outcome in a few words, what must never be, and how many requests were hit."""

    outcome: str
    problems: tuple[str, ...]
    log: tuple[str, ...]
    hits: int


_BY_NAME = {fault.name: fault for fault in FAULTS}
_WORLD: dict[str, Any] = {"replicas": 2, "scrape_interval_seconds": 10.0, "tick_seconds": 2.0}
# The clean gap that the guards ask for, and some.
_HEALTHY_FOR = timedelta(minutes=3)
_AHEAD = timedelta(seconds=20)
# The alert fires 53 s after the release when nothing is wrong.
_ALMOST_FIRING = timedelta(seconds=45)
# An end has to be reached so long after the fault's: all that is waited for, one after the other.
_BOUND = timedelta(minutes=20)
# What asks for a person stays so, or it was but a pause.
_STAYS = timedelta(minutes=3)
# The longest pause between two attempts to tell, and one attempt.
_TELLING = timedelta(minutes=6)
_STEP = timedelta(seconds=2)
_BAD = 0.01


@dataclass(slots=True)
class Chronicle:
    """What the store saw of the incidents, in the world's own time."""

    here: Stage
    turned: asyncio.Event = field(default_factory=asyncio.Event)
    lines: list[str] = field(default_factory=list)
    proven_at: datetime | None = None
    well_at: dict[str, datetime] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    _last: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Keep every turn of an incident, and when it claimed what."""
        if event.resource.key != INCIDENTS:
            return
        name, status = event.object["metadata"]["name"], event.object.get("status", {})
        state = tuple(status.get(key) for key in ("phase", "outcome", "reason"))
        proven = bool(status.get("times", {}).get("trafficProvenAt"))
        if self._last.get(name) == (*state, proven):
            return
        self._last[name] = (*state, proven)
        now = self.here.world.clock.now()
        self.lines.append(f"{now:%H:%M:%S} {name} {' '.join(map(str, state))}")
        if proven and self.proven_at is None:
            self.proven_at = now
        if status.get("phase") == "AwaitingDecision":
            # Later it says only that nobody has answered.
            self.asked.setdefault(event.object["metadata"]["uid"], status["reason"])
        if status.get("outcome") in ("RolledBack", "Recovered"):
            self.well_at.setdefault(name, now)
        self.turned.set()

    async def reached(self, moment: Moment) -> None:
        """Return at the very turn at which the moment comes."""
        while not self._is(moment):
            self.turned.clear()
            await self.turned.wait()

    def _is(self, moment: Moment) -> bool:
        phase = self.here.status().get("phase")
        match moment:
            case Moment.DECIDING:
                return self.here.incident() is not None
            case Moment.UNDOING:
                return phase == "RollingBack"
            case Moment.PROVING_TRAFFIC:
                return phase == "Verifying"
            case Moment.PROVING_RECOVERY:
                return self.proven_at is not None
            case Moment.SETTLING:
                return phase == "Settling"
            case _:
                return True


def play(cell: Cell, folder: Path) -> Played:
    """Play the cell to its end."""
    return run_story(_play(_BY_NAME[cell.fault], cell.moment, folder))


async def _play(fault: Fault, moment: Moment, folder: Path) -> Played:
    async with stage(folder, SHORT, alone=False, **{**_WORLD, **fault.plan}) as here:
        ground = Ground(here.world, SkewedClock(here.world.clock))
        chronicle = Chronicle(here)
        unsubscribe = here.world.cluster.store.subscribe(chronicle.note)
        try:
            async with running(here.settings, ground.wall_clock) as app:
                await here.until(
                    lambda: app.leading and app.readiness().ready, timedelta(seconds=30), "ready"
                )
                return await _tell(here, ground, chronicle, fault, moment)
        finally:
            unsubscribe()


async def _tell(here: Stage, ground: Ground, chronicle: Chronicle, fault: Fault, moment: Moment) -> Played:
    over = asyncio.Event()

    async def befall() -> None:
        await fault.befall(ground)
        over.set()

    await here.rest(_HEALTHY_FOR)
    if moment is Moment.BEFORE:
        async with alongside(befall()):
            await here.rest(_AHEAD)
            here.world.release("v2", error_rate=0.05)
            return await _end(here, chronicle, over)
    here.world.release("v2", error_rate=0.05)
    if moment is Moment.ON_ITS_WAY:
        await here.rest(_ALMOST_FIRING)
    else:
        async with asyncio.timeout(600):
            await chronicle.reached(moment)
    async with alongside(befall()):
        return await _end(here, chronicle, over)


async def _end(here: Stage, chronicle: Chronicle, over: asyncio.Event) -> Played:
    """Wait until nothing more is to come, and judge."""
    await over.wait()
    hung = await _settle(here, chronicle)
    outcome = _outcome(here, chronicle)
    problems = [*hung, *_lost(here), *_doubled(here), *_believed(here, chronicle)]
    return Played(outcome, tuple(problems), tuple(chronicle.lines), count_hits(here.world))


async def _settle(here: Stage, chronicle: Chronicle) -> list[str]:
    """Wait for an end that stays, and for everybody to be told of it; what hangs is a problem."""
    clock = here.world.clock
    deadline, steady, since = clock.now() + _BOUND, "", clock.now()
    while True:
        state = _outcome(here, chronicle)
        if state != steady:
            steady, since = state, clock.now()
        closed = all(i.get("status", {}).get("phase") == "Closed" for i in here.incidents())
        if here.incidents() and closed and _told(here):
            return []
        asks = state.rpartition(", then ")[2].startswith("asked")
        if asks and _told(here) and clock.now() - since >= _STAYS:
            return []
        if clock.now() >= deadline + (_TELLING if closed else timedelta()):
            return [f"hung: {state} for {clock.now() - since}, told: {_told(here)}"]
        await here.rest(_STEP)


def _outcome(here: Stage, chronicle: Chronicle) -> str:
    """How each incident ended, or why it asks."""
    said = (
        _in_words(each.get("status", {}), chronicle.asked.get(each["metadata"]["uid"]))
        for each in here.incidents()
    )
    return ", then ".join(said) or "no incident"


def _in_words(status: dict[str, Any], asked: str | None) -> str:
    phase, outcome, reason = (status.get(key) for key in ("phase", "outcome", "reason"))
    if phase in ("Open", "AwaitingDecision"):
        return f"asked {asked or reason}"
    if outcome in ("RolledBack", "Recovered"):
        return str(outcome)
    return f"{outcome or phase} {reason}"


def _told(here: Stage) -> bool:
    """Whether people know the last state of every incident, by the responder's word; judged beside."""
    for incident in here.incidents():
        conditions = incident.get("status", {}).get("conditions", [])
        if {"Told": "True"}.items() <= {each["type"]: each["status"] for each in conditions}.items():
            continue
        uid = incident["metadata"]["uid"]
        page = here.world.pagerduty.alerts.get(uid)
        if incident.get("status", {}).get("phase") == "Closed" or page is None:
            return False
    return True


def _lost(here: Stage) -> Iterator[str]:
    """The alert is on an incident, somebody was told, and nobody is left alone with what goes on."""
    incidents = here.incidents()
    if not any(
        alert["labels"]["alertname"] for each in incidents for alert in each["spec"]["alerts"].values()
    ):
        yield "lost: no incident holds the alert"
    messages = here.world.slack.messages
    for each in incidents:
        uid = each["metadata"]["uid"]
        if not any(uid in str(m.metadata) for m in messages) and uid not in here.world.pagerduty.alerts:
            yield f"lost: nobody was told of {each['metadata']['name']}"
    if here.world.version == "v2" and not any(
        page.state != "resolved" for page in here.world.pagerduty.alerts.values()
    ):
        yield "lost: the bad release serves and nobody is paged"


def _doubled(here: Stage) -> Iterator[str]:
    """By the servers' own logs, which know of every write that took effect, whatever its client was told."""
    if here.versions not in (["v1", "v2"], ["v1", "v2", "v1"]):
        yield f"doubled: versions {here.versions}"
    undos = len(here.undos())
    if undos != here.versions.count("v1") - 1:
        yield f"doubled: {undos} undos and versions {here.versions}"
    rollbacks = here.record()["spec"].get("rollbacks", [])
    if len(rollbacks) > 1:
        yield f"doubled: {len(rollbacks)} rollbacks in the record"
    if any(each.get("status", {}).get("outcome") != "Superseded" for each in here.incidents()[:-1]):
        yield f"doubled: {len(here.incidents())} incidents"
    uids = [each["metadata"]["uid"] for each in here.incidents()]
    for uid in uids:
        messages = [m for m in here.world.slack.messages if uid in str(m.metadata) and m.thread_ts is None]
        if len(messages) > 1:
            yield f"doubled: {len(messages)} messages"
    for key, page in here.world.pagerduty.alerts.items():
        if page.pages > 1:
            yield f"doubled: {page.pages} pages of {key}: {page.summary}"
        if key not in uids:
            yield f"doubled: a page beside the incident's: {key}: {page.summary}"


def _believed(here: Stage, chronicle: Chronicle) -> Iterator[str]:
    """Every claim against the oracle, which knows who answered which request, and how."""
    oracle, now = here.world.oracle, here.world.clock.now()
    if chronicle.proven_at is not None:
        served = set(oracle.requests_by_revision(since=chronicle.proven_at))
        if served - {here.rs_uid("v1")}:
            yield "believed: traffic was called proven and another revision served after it"
    for name, at in chronicle.well_at.items():
        tallies = oracle.requests_by_revision(since=at - timedelta(seconds=30), until=at).values()
        total, errors = sum(t.requests for t in tallies), sum(t.errors for t in tallies)
        if not total or errors / total > _BAD:
            yield f"believed: {name} was called well with {errors} errors in {total} requests"
    tallies = oracle.requests_by_revision(since=now - timedelta(seconds=30)).values()
    bad = sum(t.errors for t in tallies) > _BAD * max(1, sum(t.requests for t in tallies))
    last = here.incidents()[-1].get("status", {}) if here.incidents() else {}
    if bad and (last.get("phase") == "Closed" and last.get("outcome") not in ("RollbackFailed",)):
        yield f"believed: closed as {last.get('outcome')} while requests fail"
