"""It was not done before, nor decided against. Pure."""

from __future__ import annotations

from responder.rules.facts import Facts
from responder.rules.guards.wording import clock, rough
from responder.rules.quantities import format_duration
from responder.verdicts import Verdict, failed, passed


def not_again(facts: Facts) -> Verdict:
    """No automatic rollback in the cooldown, no undo of an undo, nothing that a person left alone."""
    check = "NotAgain"
    ledger = facts.ledger
    if ledger.rollbacks and facts.bad is not None and ledger.rollbacks[-1].to_uid == facts.bad.uid:
        done = ledger.rollbacks[-1]
        return failed(
            check,
            "UndoOfUndo",
            f"The current revision is itself the result of the rollback in {done.incident}.",
            incident=done.incident,
        )
    left = next(
        (a for a in ledger.left_alone if facts.bad and a.uid == facts.bad.uid and facts.now < a.until), None
    )
    if left is not None:
        return failed(
            check, "LeftAlone", f"{left.by} decided to leave this revision alone until {clock(left.until)}."
        )
    cooldown = facts.file.rollback.cooldown
    recent = [done for done in ledger.rollbacks if done.automatic and facts.now - done.at < cooldown]
    if recent:
        return failed(
            check,
            "CooldownActive",
            f"{recent[-1].incident} rolled this workload back {rough(facts.now - recent[-1].at)} ago,"
            f" inside the cooldown of {format_duration(cooldown)}.",
            incident=recent[-1].incident,
        )
    return passed(check, "FirstInCooldown", f"No automatic rollback in the last {format_duration(cooldown)}.")
