"""What the proofs after an undo have to show, made of the incident, rule file and what was remembered. Pure.

Called by respond.py, which waits for the proofs and writes what comes of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType

from responder.incidents.model import Incident, Rollback
from responder.incidents.phases import Outcome
from responder.rules.conditions import AnyOf, Condition
from responder.rules.model import Action, Channel, Rule, RuleFile
from responder.verdicts import Result, Verdict
from responder.verification.claim import Claim
from responder.verification.prove_recovery import RecoveryClaim
from responder.verification.recovery import default_recover_within
from responder.verification.revert import find_revert
from responder.workloads.history import History
from responder.workloads.ledger import Ledger
from responder.workloads.owners import REVERTED
from responder.workloads.templates import Template, without_hash

OUTCOME_OF_RECOVERY = MappingProxyType(
    {
        Result.PASSED: Outcome.ROLLED_BACK,
        Result.FAILED: Outcome.NOT_RECOVERED,
        Result.UNKNOWN: Outcome.RECOVERY_UNKNOWN,
    }
)


def claim_traffic(incident: Incident, rollback: Rollback, file: RuleFile, history: History) -> Claim | None:
    """That the target serves everything; None when history does not hold it any more."""
    target = history.by_uid(rollback.target.uid)
    if target is None:
        return None
    return Claim(
        key=incident.key,
        workload_uid=rollback.deployment_uid,
        target_uid=rollback.target.uid,
        template=without_hash(target.template),
        generation=rollback.generation or history.workload.generation,
        services=file.services,
        stale_progressing_at=rollback.stale_progressing_at,
        bad=bad_template(rollback, history),
    )


def claim_recovery(
    rules: tuple[Rule, ...], rollback: Rollback, file: RuleFile, ledger: Ledger, proven_at: datetime
) -> RecoveryClaim:
    """That what these rules say is false again; at least one rule."""
    bad_from = ledger.began(rollback.bad.uid)
    conditions = tuple(rule.condition for rule in rules)
    return RecoveryClaim(
        condition=conditions[0] if len(conditions) == 1 else AnyOf(conditions),
        metrics=file.metrics,
        selector=file.selector,
        good_windows=file.rollback.good_windows,
        traffic_proven_at=proven_at,
        healthy_until=bad_from,
        healthy_from=None if bad_from is None else ledger.began_before(rollback.target.uid, bad_from),
    )


def recover_within(file: RuleFile, condition: Condition) -> timedelta:
    """How long recovery may take: as the rule file says, or derived from the slowest metric."""
    wish = file.rollback.recover_within
    return wish or default_recover_within(condition, file.metrics, file.rollback.good_windows)


def rules_to_recover(
    incident: Incident, rules: tuple[Rule, ...], firing: tuple[Rule, ...]
) -> tuple[Rule, ...]:
    """The rules that have to be false again: the one that decided, and every one that acts or pages.

    What a rule only tells of may have been so before the release, and nobody is to be woken for it.
    """
    decided = tuple(rule for rule in rules if rule.id == incident.status.rule) or rules[:1]
    grave = (r for r in firing if r.action is not Action.NONE or Channel.PAGERDUTY in r.notify)
    return tuple(dict.fromkeys((*decided, *grave)))


def bad_template(rollback: Rollback, history: History | None) -> Template | None:
    """The template that was undone; None where history does not hold it any more."""
    revision = None if history is None else history.by_uid(rollback.bad.uid)
    return None if revision is None else revision.template


def find_news_of_revert(incident: Incident, rollback: Rollback, history: History | None) -> Verdict | None:
    """Whether the undo was undone, where the incident does not say so yet."""
    if history is None or incident.status.reason in REVERTED:
        return None
    return find_revert(history.workload, bad_template(rollback, history))
