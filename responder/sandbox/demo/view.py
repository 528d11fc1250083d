"""What the screen shows at one instant, as plain data: taken from the running story, drawn by screen.py."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from responder.rules.conditions import comparisons
from responder.rules.model import Unit
from responder.sandbox.controllers.fields import is_deleting
from responder.sandbox.controllers.pods import is_ready
from responder.sandbox.demo.act import Act
from responder.sandbox.demo.chronicle import (
    Happening,
    Step,
    chronicle,
    names_of,
    replica_set_uid,
    step_times,
)
from responder.sandbox.demo.probe import Reading
from responder.sandbox.demo.rules import describe_shortening
from responder.sandbox.demo.stories import BAD, GOOD, Story
from responder.sandbox.demo.wording import Names
from responder.sandbox.oracle import Tally
from responder.sandbox.traffic.pods import PODS

SLOT = timedelta(seconds=1)
# So much of the time before the release is shown, and never more in all than any screen has room for.
_BEFORE = timedelta(seconds=15)
_LOOK_BACK = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Slot:
    """A second of traffic: requests by version, and how many found nobody."""

    at: datetime
    served: dict[str, Tally]
    refused: int


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of a version, by what they do."""

    ready: int = 0
    starting: int = 0
    terminating: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """One instant of one story. `elapsed` counts from the release and is below zero before it.

    `shortened` says which durations of the story's rule the demo made shorter, `action` is what the rule that
    leads the incident wants, "" while there is none; `kubectl` is the shell line that shows the incidents.
    """

    story: Story
    number: int
    of: int
    alert_source: str
    kubectl: str
    now: datetime
    released_at: datetime | None
    elapsed_seconds: float
    slots: tuple[Slot, ...]
    readings: tuple[Reading, ...]
    metric: str
    unit: Unit
    threshold: float
    condition: str
    shortened: str
    names: Names
    phases: tuple[str, ...]
    outcome: str
    action: str
    guards: tuple[dict[str, Any], ...]
    proofs: tuple[dict[str, Any], ...]
    happenings: tuple[Happening, ...]
    steps: dict[Step, datetime] = field(default_factory=dict)
    pods: dict[str, Pods] = field(default_factory=dict)


def take_view(act: Act, number: int, of: int) -> View:
    """The story as it stands now; `number` counts the stories from 1."""
    stage, now = act.stage, act.clock.now()
    (comparison,) = comparisons(stage.rule.condition)
    happenings = chronicle(act)
    released_at = act.released_at
    return View(
        story=stage.story,
        number=number,
        of=of,
        alert_source=str(stage.source),
        kubectl=stage.kubectl,
        now=now,
        released_at=released_at,
        elapsed_seconds=(now - (released_at or act.release_due_at)).total_seconds(),
        slots=_slots(act, now),
        readings=tuple(act.probe.readings),
        metric=stage.metric.name,
        unit=stage.metric.unit,
        threshold=comparison.threshold,
        condition=str(stage.rule.condition),
        shortened=describe_shortening(stage.file, stage.rule.name),
        names=names_of(stage.world),
        phases=tuple(act.witness.phases),
        outcome=str(act.witness.status.get("outcome") or ""),
        action=str(act.witness.status.get("action") or ""),
        guards=tuple(act.witness.guards),
        proofs=tuple(act.witness.proofs),
        happenings=happenings,
        steps=step_times(happenings),
        pods=_pods(act),
    )


def _slots(act: Act, now: datetime) -> tuple[Slot, ...]:
    uids = {replica_set_uid(act.stage.world, version): version for version in (GOOD, BAD)}
    since = max(now - _LOOK_BACK, (act.released_at or now) - _BEFORE)
    return tuple(
        Slot(
            slot.at,
            {uids[uid]: tally for uid, tally in slot.revisions.items() if uid in uids},
            slot.refused,
        )
        for slot in act.stage.world.oracle.timeline(SLOT, since=since)
    )


def _pods(act: Act) -> dict[str, Pods]:
    world = act.stage.world
    counts = {version: Counter[str]() for version in (GOOD, BAD)}
    uids = {replica_set_uid(world, version): version for version in (GOOD, BAD)}
    for pod in world.cluster.store.scan(PODS, world.namespace):
        owners = [owner["uid"] for owner in pod["metadata"].get("ownerReferences") or ()]
        version = next((uids[uid] for uid in owners if uid in uids), None)
        if version is None:
            continue
        state = "terminating" if is_deleting(pod) else "ready" if is_ready(pod) else "starting"
        counts[version][state] += 1
    return {version: Pods(**count) for version, count in counts.items()}
