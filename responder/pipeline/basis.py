"""What the questions of a judgement are about, so that they can be asked before the revisions are read. Pure.

Called by gather.py: with what the watch saw last, and again with what was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from responder.actions.undo import Fence
from responder.incidents.model import Incident
from responder.pipeline.preflight import Trial, plan_trial
from responder.workloads.history import History
from responder.workloads.ledger import Ledger
from responder.workloads.target import Target, select_target


@dataclass(frozen=True, slots=True)
class Known:
    """A workload with its revisions, and who served when."""

    history: History
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Basis:
    """The current revision and the target, by the hash of their pods; equal ones get the same answers.

    `began` is when the current one began to serve, `beside_until` until when the target's pods served beside
    it; None where nobody saw that. `trial` is None where there is nothing to go back to.
    """

    bad: str | None = None
    target: str | None = None
    began: datetime | None = None
    beside_until: datetime | None = None
    trial: Trial | None = None


def find_basis(incident: Incident, history: History | None, ledger: Ledger, now: datetime) -> Basis:
    """What to ask at that instant about an incident of a workload in this state."""
    bad = None if history is None else history.current
    if history is None or bad is None:
        return Basis()
    began = ledger.served_from(bad)
    target = select_target(history, ledger, bad)
    if target is None:
        return Basis(bad.hash, began=began)
    fence = Fence(history.workload.fence, incident.fence(incident.next_attempt))
    return Basis(
        bad.hash,
        target.revision.hash,
        began,
        _beside_until(ledger, target, now),
        plan_trial(history.workload, target.revision, fence),
    )


def _beside_until(ledger: Ledger, target: Target, now: datetime) -> datetime | None:
    serving = ledger.latest_serving(target.revision.uid)
    return None if serving is None else serving.ended_at or now
