"""Whether what still fires after a rollback is its echo. Pure.

Rate windows stay above a threshold for minutes after the errors stop, and slower alerts fire later still.
They are echoes only while no other revision than the target has begun to serve, and only for a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from responder.incidents.model import Incident
from responder.rules.conditions import Comparison, Condition, holds
from responder.rules.facts import values_of
from responder.rules.measurement import Measurement
from responder.rules.model import Rule
from responder.rules.quantities import format_duration
from responder.workloads.history import History
from responder.workloads.ledger import Ledger, RevisionRef, Serving

# A condition that can't be measured is waited for so much longer; then what fires is handed over, and what
# does not is closed, saying so.
_PATIENCE = timedelta(minutes=10)


class Settling(StrEnum):
    """What the settling incident does next."""

    GOES_ON = "GoesOn"
    OVER = "Over"
    FOLLOWED = "Followed"


@dataclass(frozen=True, slots=True)
class SettlingVerdict:
    """The next thing, and why. `recovered` where every condition was measured to be false."""

    settling: Settling
    message: str
    recovered: bool = False


def assess_settling(
    incident: Incident,
    rules: tuple[Rule, ...],
    ledger: Ledger,
    measurements: Mapping[Comparison, Measurement],
    now: datetime,
) -> SettlingVerdict:
    """Go on waiting, close for good, or hand over to an incident that follows."""
    newcomer = _newcomer(incident, ledger)
    if newcomer is not None:
        name = newcomer.revision.replica_set
        if incident.firing:
            return SettlingVerdict(
                Settling.FOLLOWED,
                f"Revision {name} began to serve while alerts still fire: no echo any more.",
            )
        return SettlingVerdict(Settling.OVER, f"Revision {name} began to serve and nothing fires.")
    until = incident.status.times.settle_until
    if until is not None and now < until:
        return SettlingVerdict(Settling.GOES_ON, f"Echoes are waited out until {until:%H:%M:%S} UTC.")
    truths = [_truth(rule.condition, measurements) for rule in rules]
    if True in truths:
        return SettlingVerdict(Settling.FOLLOWED, "A condition is still true after the time for echoes.")
    if None in truths and not patience_over(incident, now):
        alerts = "its alert still fires" if incident.firing else "that nothing fires may be for want of data"
        return SettlingVerdict(Settling.GOES_ON, f"A condition can't be measured: {alerts}.")
    if None in truths and incident.firing:
        return SettlingVerdict(Settling.FOLLOWED, "An alert still fires and its condition can't be measured.")
    if None in truths:
        waited = format_duration(_PATIENCE)
        return SettlingVerdict(
            Settling.OVER,
            f"Nothing fires, but that may be for want of data: for {waited} after the time for echoes a"
            " condition could not be measured.",
        )
    return SettlingVerdict(
        Settling.OVER, "The time for echoes is over and nothing goes on.", recovered=bool(truths)
    )


def lags_behind(ledger: Ledger, history: History | None) -> bool:
    """True while pods are ready of a revision of which the ledger does not say yet that it serves.

    Closed now, the incident would pass for judged with that revision in sight.
    """
    serving = {each.revision.uid for each in ledger.servings if each.ended_at is None}
    return history is not None and any(
        each.ready_pods > 0 and each.uid not in serving for each in history.revisions
    )


def patience_over(incident: Incident, now: datetime) -> bool:
    """Whether what nobody can tell is waited for no more."""
    until = incident.status.times.settle_until
    return until is None or now >= until + _PATIENCE


def _newcomer(incident: Incident, ledger: Ledger) -> Serving | None:
    """A revision other than the target that began to serve after the undo.

    The one that was undone is no newcomer while it goes: its last pods come and go until traffic is proven.
    Nor is what stands before it in the ledger, whatever the times say of a clock that was set back.
    """
    rollback = incident.status.rollback
    if rollback is None or rollback.applied_at is None:
        return None
    gone_by = max(incident.status.times.traffic_proven_at or rollback.applied_at, rollback.applied_at)
    gone = (n for n, each in enumerate(ledger.servings) if _went(each, rollback.bad, gone_by))
    later = (
        serving
        for serving in ledger.servings[max(gone, default=-1) + 1 :]
        if serving.revision.uid != rollback.target.uid
        and serving.first_serving_at is not None
        and serving.first_serving_at > rollback.applied_at
    )
    return next(later, None)


def _went(serving: Serving, bad: RevisionRef, gone_by: datetime) -> bool:
    """True for a period of the bad revision that began or ended before that revision was gone."""
    instants = (serving.first_serving_at, serving.ended_at)
    return serving.revision.uid == bad.uid and any(at is not None and at <= gone_by for at in instants)


def _truth(condition: Condition, measurements: Mapping[Comparison, Measurement]) -> bool | None:
    return holds(condition, values_of(condition, measurements))
