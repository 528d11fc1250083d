"""The phases of an incident, the outcomes, and the only moves between phases. Pure."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from responder.errors import Permanent


class Phase(StrEnum):
    """Where an incident stands."""

    OPEN = "Open"
    AWAITING_DECISION = "AwaitingDecision"
    ROLLING_BACK = "RollingBack"
    VERIFYING = "Verifying"
    SETTLING = "Settling"
    CLOSED = "Closed"

    @property
    def undecided(self) -> bool:
        """True while it is judged what is to be done."""
        return self in (Phase.OPEN, Phase.AWAITING_DECISION)


class Outcome(StrEnum):
    """How an incident ended."""

    ROLLED_BACK = "RolledBack"
    RECOVERY_UNKNOWN = "RecoveryUnknown"
    NOT_RECOVERED = "NotRecovered"
    TRAFFIC_NOT_PROVEN = "TrafficNotProven"
    ROLLBACK_FAILED = "RollbackFailed"
    DECLINED = "Declined"
    EXPIRED = "Expired"
    TOLD = "Told"
    RECOVERED = "Recovered"
    SUPERSEDED = "Superseded"


# RollingBack goes back to Open only with its fence voided: the attempt can't take effect any more.
TRANSITIONS = MappingProxyType(
    {
        Phase.OPEN: frozenset({Phase.AWAITING_DECISION, Phase.ROLLING_BACK, Phase.CLOSED}),
        Phase.AWAITING_DECISION: frozenset({Phase.OPEN, Phase.ROLLING_BACK, Phase.CLOSED}),
        Phase.ROLLING_BACK: frozenset({Phase.OPEN, Phase.VERIFYING, Phase.CLOSED}),
        Phase.VERIFYING: frozenset({Phase.SETTLING}),
        Phase.SETTLING: frozenset({Phase.CLOSED}),
        Phase.CLOSED: frozenset[Phase](),
    }
)


class IllegalTransition(Permanent):
    """A move that the table does not have: a defect of ours."""


def check_transition(before: Phase, after: Phase) -> None:
    """Return when the move is in the table or is none; otherwise raise IllegalTransition."""
    if after != before and after not in TRANSITIONS[before]:
        allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing"
        raise IllegalTransition(f"An incident in phase {before} can't move to {after}: only to {allowed}.")
