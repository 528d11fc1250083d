"""Whether a story ended as it should, by what really happened and not by the responder's word. Pure.

One small function a question. The responder's own account is only compared with the truth, last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from responder.sandbox.demo.evidence import Evidence
from responder.sandbox.demo.stories import BAD, GOOD, Ending

# v1 fails nowhere, so any more than this at the end is the fault still there.
_HARMLESS_ERROR_SHARE = 0.001
_ACCOUNTS = {
    Ending.ROLLED_BACK: "RolledBack",
    Ending.CLICKED: "RolledBack",
    Ending.TOLD: "Told",
    Ending.ASKED: "AwaitingDecision: OnsetBeforeRollout",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question; `text` says what was found."""

    check: str
    passed: bool
    text: str


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Every question that the story's ending asks; it ended as it should if all passed."""
    return tuple(check(evidence) for check in _checks(evidence))


def _checks(evidence: Evidence) -> Iterator[Callable[[Evidence], Finding]]:
    yield came_to_its_end
    yield fault_reached_clients
    if evidence.story.fails_before:
        yield fault_began_before_release
    if evidence.story.undone:
        yield undone_once
        yield by_whom_it_should
        yield good_version_is_back
        yield no_bad_request_after_proof
        yield clients_recovered
    else:
        yield deployment_untouched
    yield one_slack_message
    yield paged_as_it_should
    yield account_is_true


def came_to_its_end(evidence: Evidence) -> Finding:
    """Nothing was waited for in vain."""
    seconds = (evidence.ended_at - evidence.released_at).total_seconds()
    text = evidence.overdue or f"{seconds:.0f} s from the release to the end"
    return Finding("came to its end", not evidence.overdue, text)


def fault_reached_clients(evidence: Evidence) -> Finding:
    """The release really was bad for somebody, or the story would prove nothing."""
    check, bad = "the fault reached clients", evidence.served[BAD]
    if evidence.story.error_rate:
        return Finding(check, bad.errors > 0, f"{bad.errors} of {bad.requests} answers of {BAD} were errors")
    return Finding(check, bad.requests > 0, f"{BAD} answered {bad.requests} requests")


def fault_began_before_release(evidence: Evidence) -> Finding:
    """Clients met the fault while the release was yet to come: it can't be the cause."""
    check, first = "the fault is older than the release", evidence.first_fault_at
    if first is None:
        return Finding(check, False, "no client met it")
    seconds = (first - evidence.released_at).total_seconds()
    return Finding(check, seconds < 0, f"first met {seconds:+.1f} s from the release")


def undone_once(evidence: Evidence) -> Finding:
    """Exactly one write changed the template after the release."""
    text = f"{_count(len(evidence.undos), 'undo')} in the API server's log"
    return Finding("undone exactly once", len(evidence.undos) == 1, text)


def by_whom_it_should(evidence: Evidence) -> Finding:
    """Automatically, or after a person's click and not before."""
    check, first = "by whom it should", min((undo.at for undo in evidence.undos), default=None)
    if evidence.story.ending is Ending.ROLLED_BACK:
        return Finding(check, evidence.clicked_at is None, "nobody clicked")
    if evidence.clicked_at is None or first is None:
        return Finding(check, False, "a click and an undo after it were due")
    seconds = (first - evidence.clicked_at).total_seconds()
    text = f"undone {seconds:.1f} s after the click"
    return Finding(check, evidence.click_taken and seconds >= 0, text)


def good_version_is_back(evidence: Evidence) -> Finding:
    """The Deployment's template is the good version's again."""
    text = f"the Deployment's template is {evidence.version}"
    return Finding(f"{GOOD} is back", evidence.version == GOOD, text)


def no_bad_request_after_proof(evidence: Evidence) -> Finding:
    """From the moment the traffic was said to be proven, the bad version answered nobody."""
    check = f"no request to {BAD} after the traffic proof"
    if evidence.bad_after_proof is None:
        return Finding(check, False, "the traffic was never said to be proven")
    text = f"{_count(evidence.bad_after_proof, 'request')}, by the oracle"
    return Finding(check, evidence.bad_after_proof == 0, text)


def clients_recovered(evidence: Evidence) -> Finding:
    """At the end requests succeed."""
    share = evidence.error_share_at_end
    text = f"{share:.1%} of the requests in the last seconds failed"
    return Finding("clients recovered", share <= _HARMLESS_ERROR_SHARE, text)


def deployment_untouched(evidence: Evidence) -> Finding:
    """Nobody wrote to the Deployment, and it still runs what was released."""
    writes = len(evidence.undos) + evidence.other_writes
    text = f"{_count(writes, 'write')} to the Deployment, which runs {evidence.version}"
    return Finding("the Deployment is untouched", writes == 0 and evidence.version == BAD, text)


def one_slack_message(evidence: Evidence) -> Finding:
    """One message, kept up to date."""
    count = len(evidence.slack_messages)
    return Finding("one Slack message", count == 1, f"{_count(count, 'message')} in the channel")


def paged_as_it_should(evidence: Evidence) -> Finding:
    """Somebody was paged once, and it resolved where it is over; or nobody was."""
    if not evidence.story.paged:
        text = f"{_count(len(evidence.pages), 'alert')} in PagerDuty"
        return Finding("nobody was paged", not evidence.pages, text)
    alerts = [
        f"paged {_count(page.pages, 'time')} and {'resolved' if page.resolved else 'not resolved'}"
        for page in evidence.pages
    ]
    over = evidence.story.undone
    good = [(page.pages, page.resolved) for page in evidence.pages] == [(1, over)]
    check = "paged once, resolved" if over else "paged once, not resolved"
    return Finding(check, good, "; ".join(alerts) or "nobody was paged")


def account_is_true(evidence: Evidence) -> Finding:
    """The responder says of the one incident what really happened."""
    account = evidence.outcome or f"{evidence.phase}: {evidence.reason}"
    good = evidence.incidents == 1 and account == _ACCOUNTS[evidence.story.ending]
    return Finding("the incident says so", good, f"{_count(evidence.incidents, 'incident')}, {account}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
