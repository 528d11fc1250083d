"""Which revision to go back to: the one that served before the bad one, pinned by its UID. Pure.

Not "the previous number": numbers move with each undo, and count releases that never served.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from responder.workloads.history import History
from responder.workloads.ledger import Ledger, Serving
from responder.workloads.revision import Revision
from responder.workloads.templates import same_template


@dataclass(frozen=True, slots=True)
class Target:
    """The chosen revision. `certain` is False where history can't tell what served in between.

    `unseen`: all that is not certain is whether it served at all, which nobody saw. `between` is what is
    known to have served in between, and `why_not` why that is not gone back to.
    """

    revision: Revision
    certain: bool
    unseen: bool = False
    between: Serving | None = None
    why_not: str = ""


def select_target(history: History, ledger: Ledger, bad: Revision) -> Target | None:
    """The revision that served last before `bad` did; None where there is none to go back to.

    Never a known-bad one, never one that never served, never one whose template is the current one or that
    the controller would not pick for its template (a duplicate), never one that is being deleted.
    One that nobody saw serve is certain only where no other can have: to be made is not yet to serve.
    """
    candidates = [each for each in history.old if each.uid != bad.uid and _eligible(each, history, ledger)]
    if not candidates:
        return None
    known = [(began, each) for each in candidates if (began := ledger.served_from(each)) is not None]
    undated = [each for each in candidates if ledger.served_from(each) is None]
    bad_from = ledger.served_from(bad)
    if bad_from is not None:
        known = [(began, each) for began, each in known if began <= bad_from]
    if not known:
        # Only revisions of which nobody knows when they served: kubectl's choice, as a proposal to a person.
        return Target(max(candidates, key=_number), certain=False)
    _, chosen = max(known, key=lambda pair: (pair[0], _number(pair[1])))
    # A reused revision with a higher number may have served between the two.
    doubt = any(_number(each) > _number(chosen) for each in undated)
    if doubt:
        return Target(max(undated, key=_number), certain=False)
    between = _missing_between(chosen, bad, history, ledger)
    if between is not None:
        gone = history.by_uid(between.revision.uid) is None
        why_not = "is gone from the history" if gone else "was rolled back as bad"
        return Target(chosen, certain=False, between=between, why_not=why_not)
    seen = ledger.latest_serving(chosen.uid) is not None or _first_of_all(chosen, bad, history, ledger)
    return Target(chosen, certain=seen, unseen=not seen)


def _first_of_all(chosen: Revision, bad: Revision, history: History, ledger: Ledger) -> bool:
    """True when it was the workload's first, and nothing but `bad` can have served since it was made."""
    return chosen.first_number == 1 and not any(
        each.uid not in (chosen.uid, bad.uid)
        and not ledger.never_served(each)
        and not same_template(each.template, chosen.template)
        and not same_template(each.template, bad.template)
        for each in history.revisions
    )


def _missing_between(chosen: Revision, bad: Revision, history: History, ledger: Ledger) -> Serving | None:
    """The last period of a revision that can't be the target, after `chosen`'s and until `bad` took over.

    It is gone from history, or it is known bad; not where that one was undone before `bad` was released.
    """
    chosen_from, bad_from = ledger.served_from(chosen), ledger.served_from(bad)
    latest = ledger.latest_serving(chosen.uid)
    if chosen_from is None or bad_from is None:
        return None
    # What ended while the chosen one still served did not serve between the two.
    chosen_until = bad_from if latest is None or latest.ended_at is None else min(latest.ended_at, bad_from)
    return next(
        (
            serving
            for serving in reversed(ledger.servings)
            if serving.first_serving_at is not None
            and chosen_from < serving.first_serving_at < bad_from
            and (serving.ended_at is None or serving.ended_at > chosen_until)
            and _out_of_choice(serving, bad_from, history, ledger)
        ),
        None,
    )


def _out_of_choice(serving: Serving, bad_from: datetime, history: History, ledger: Ledger) -> bool:
    each = history.by_uid(serving.revision.uid)
    if each is None or not ledger.is_known_bad(each):
        return each is None
    return not any(
        done.from_uid == each.uid
        and serving.first_serving_at is not None
        and serving.first_serving_at <= done.at <= bad_from
        for done in ledger.rollbacks
    )


def _eligible(each: Revision, history: History, ledger: Ledger) -> bool:
    if each.terminating or ledger.is_known_bad(each) or ledger.never_served(each):
        return False
    if same_template(each.template, history.workload.template):
        return False
    chosen_by_controller = history.matching(each.template)
    return chosen_by_controller is not None and chosen_by_controller.uid == each.uid


def _number(each: Revision) -> int:
    return -1 if each.number is None else each.number
