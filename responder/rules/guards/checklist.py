"""The guards as a checklist, in the order people read it, and which of them a person may overrule. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from responder.rules.facts import Facts
from responder.rules.guards.cause import caused_by_rollout, inside_window
from responder.rules.guards.condition import still_true
from responder.rules.guards.dependencies import dependencies_good
from responder.rules.guards.existence import not_paused, target_exists, workload_exists
from responder.rules.guards.marks import not_frozen, not_protected
from responder.rules.guards.owner import NEVER_OVERRULED as _OWNERS
from responder.rules.guards.owner import owner_allows
from responder.rules.guards.pods import new_pods_worse, not_one_node
from responder.rules.guards.preflight import configuration_exists, dry_run_admitted
from responder.rules.guards.repetition import not_again
from responder.rules.guards.reversible import reversible
from responder.rules.guards.storm import no_storm
from responder.rules.guards.target_health import target_was_good
from responder.verdicts import Result, Verdict, unknown

Guard = Callable[[Facts], Verdict]


def _by_ledger(check: str, guard: Guard) -> Guard:
    """The guard where the ledger says what serves; else unknown: a leader that has just begun knows soon."""

    @wraps(guard)
    def verdict(facts: Facts) -> Verdict:
        if facts.watched:
            return guard(facts)
        text = f"What of {facts.file.workload} has served of late is not known yet: its record lags behind."
        return unknown(check, "LedgerLags", text)

    return verdict


GUARDS: tuple[Guard, ...] = (
    workload_exists,
    _by_ledger("TargetExists", target_exists),
    not_paused,
    not_protected,
    still_true,
    _by_ledger("InsideRollbackWindow", inside_window),
    _by_ledger("CausedByRollout", caused_by_rollout),
    new_pods_worse,
    not_one_node,
    dependencies_good,
    _by_ledger("TargetWasGood", target_was_good),
    not_again,
    not_frozen,
    reversible,
    configuration_exists,
    dry_run_admitted,
    owner_allows,
    no_storm,
)


# Whatever a person says: without these there is nothing to go back from, or it would not be carried out.
_NEVER_OVERRULED = frozenset({"WorkloadExists", "NotPaused", "NotProtected"})
_NOTHING_TO_SEND = frozenset({"CurrentRevisionUnknown"})
_NEVER_WHEN_FAILED = frozenset({"TargetExists", "ConfigurationExists", "DryRunAdmitted"})


def overridable(verdict: Verdict) -> bool:
    """Whether a person may overrule this verdict.

    Not whether workload and target exist (but a likely target may be confirmed), not paused, not protected,
    not what the preflight found to be refused (but what it could not tell), and not what another tool drives
    or the rule file refuses.
    """
    if verdict.check in _NEVER_WHEN_FAILED:
        return verdict.result is Result.UNKNOWN and verdict.reason not in _NOTHING_TO_SEND
    return verdict.check not in _NEVER_OVERRULED and verdict.reason not in _OWNERS
