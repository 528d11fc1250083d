"""Nothing between the revision to go back to and the current one was marked as not to be undone. Pure.

Whoever releases a migration that the old code can't live with marks the pod template, and with it the
revision, so that the mark is there for as long as history is.
"""

from __future__ import annotations

from itertools import islice

from responder.rules.facts import Facts
from responder.verdicts import Verdict, failed, passed, unknown
from responder.workloads.views import IRREVERSIBLE


def reversible(facts: Facts) -> Verdict:
    """No revision newer than the target, up to and including the current one, is marked irreversible."""
    check = "Reversible"
    if facts.history is None or facts.bad is None or facts.target is None:
        return unknown(check, "RevisionsUnknown", "Between which revisions to go back is not known.")
    target, bad = facts.target.revision, facts.bad
    if target.number is None or bad.number is None:
        return unknown(check, "RevisionsUnknown", f"{target.name} or {bad.name} has no revision number.")
    # One whose number is missing or can't be read may be newer than any.
    between = [
        each
        for each in facts.history.revisions
        if each.uid != target.uid and (not each.number or each.number > target.number)
    ]
    marked = next((each for each in between if IRREVERSIBLE in each.template_annotations), None)
    if marked is not None:
        why = marked.template_annotations[IRREVERSIBLE]
        text = f"Revision {marked.name} is marked {IRREVERSIBLE} ({why or 'no reason given'})"
        return failed(check, "Irreversible", f"{text}: what it did is not undone by {target.name}.", why=why)
    held = {each.number for each in facts.history.revisions}
    # A number that was held until its revision was brought back is no gap.
    held.update(*(each.earlier_numbers for each in facts.history.revisions))
    missing = (number for number in range(target.number + 1, bad.number + 1) if number not in held)
    # Anybody may write a number: from here to a huge one are too many to look at.
    gone = tuple(islice(missing, 5))
    if gone:
        numbers = ", ".join(map(str, gone))
        text = f"History holds no revision {numbers} any more, which may have been irreversible"
        return unknown(check, "RevisionGone", f"{text}.", missing=numbers)
    return passed(check, "Reversible", f"Nothing since {target.name} is marked irreversible.")
