"""It was not done before, nor decided against. Pure."""

from __future__ import annotations

from responder.rules.facts import Facts
from responder.rules.guards.wording import clock, rough
from responder.rules.quantities import format_duration
from responder.verdicts import Verdict, failed, passed


def not_again(facts: Facts) -> Verdict:
    """No automatic rollback in the cooldown, no undo of an undo, nothing that a person left alone.

    Whoever went back to an older revision had a reason that no metric of ours need show, or made a mistake:
    whether that is undone is for people to decide.
    """
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
    went_back = _went_back(facts)
    if went_back:
        return failed(check, "WentBack", went_back)
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


def _went_back(facts: Facts) -> str:
    """The sentence that says so, if the target is the newer one: somebody went back from it. Empty if not."""
    if facts.bad is None or facts.target is None:
        return ""
    bad, target = facts.bad, facts.target.revision
    asked = f"Whether {target.name} is brought back is for people to decide."
    made, bad_made = target.first_number, bad.first_number
    if made is not None and bad_made is not None and made != bad_made:
        went = f"Somebody went back from {target.name} to the older {bad.name}. {asked}"
        return went if bad_made < made else ""
    if bad.created_at >= target.created_at:
        return ""
    return (
        f"By the API server's clock {bad.name} was made before {target.name}:"
        f" somebody went back to it, or that clock was set back. {asked}"
    )
