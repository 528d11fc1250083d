"""The judge on made-up evidence: each thing that can be wrong turns exactly its own question."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.sandbox.demo.evidence import Evidence, Page, Undo
from responder.sandbox.demo.judge import judge
from responder.sandbox.demo.stories import STORIES
from responder.sandbox.oracle import Tally

RELEASED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return RELEASED + timedelta(seconds=seconds)


PAGED = Page("incident", 1, True, after(10))
UNDO = Undo(after(11), "admin")

ROLLED_BACK = Evidence(
    story=STORIES["error-rate"],
    overdue="",
    released_at=RELEASED,
    ended_at=after(44),
    version="v1",
    undos=(UNDO,),
    other_writes=0,
    served={"v1": Tally(3000, 0), "v2": Tally(1000, 50)},
    refused=0,
    first_fault_at=after(2),
    last_bad_at=after(14),
    bad_after_proof=0,
    error_share_at_end=0.0,
    slack_messages=("Rolled back",),
    pages=(PAGED,),
    clicked_at=None,
    click_taken=False,
    incidents=1,
    outcome="RolledBack",
    phase="Closed",
    reason="Recovered",
)
CLICKED = replace(
    ROLLED_BACK,
    story=STORIES["very-slow"],
    clicked_at=after(10.5),
    click_taken=True,
    served={"v1": Tally(3000), "v2": Tally(1000)},
)
TOLD = replace(
    ROLLED_BACK,
    story=STORIES["slow"],
    version="v2",
    undos=(),
    served={"v1": Tally(100), "v2": Tally(3000)},
    bad_after_proof=None,
    pages=(),
    outcome="Told",
)
ASKED = replace(
    TOLD,
    story=STORIES["not-the-release"],
    served={"v1": Tally(100, 5), "v2": Tally(800, 40)},
    first_fault_at=after(-3),
    pages=(replace(PAGED, resolved=False),),
    outcome="",
    phase="AwaitingDecision",
    reason="OnsetBeforeRollout",
)


@pytest.mark.parametrize("evidence", [ROLLED_BACK, CLICKED, TOLD, ASKED], ids=lambda each: each.story.name)
def test_what_is_as_it_should_be_passes(evidence: Evidence) -> None:
    assert [finding for finding in judge(evidence) if not finding.passed] == []


WRONG: list[tuple[Evidence, dict[str, Any], str]] = [
    (ROLLED_BACK, {"overdue": "waited 100 s in vain for a page"}, "came to its end"),
    (ROLLED_BACK, {"served": {"v1": Tally(9), "v2": Tally(9, 0)}}, "the fault reached clients"),
    (ROLLED_BACK, {"undos": ()}, "undone exactly once"),
    (ROLLED_BACK, {"undos": (UNDO, UNDO)}, "undone exactly once"),
    (ROLLED_BACK, {"clicked_at": after(5)}, "by whom it should"),
    (ROLLED_BACK, {"version": "v2"}, "v1 is back"),
    (ROLLED_BACK, {"bad_after_proof": 1}, "no request to v2 after the traffic proof"),
    (ROLLED_BACK, {"bad_after_proof": None}, "no request to v2 after the traffic proof"),
    (ROLLED_BACK, {"error_share_at_end": 0.01}, "clients recovered"),
    (ROLLED_BACK, {"slack_messages": ()}, "one Slack message"),
    (ROLLED_BACK, {"slack_messages": ("a", "b")}, "one Slack message"),
    (ROLLED_BACK, {"pages": ()}, "paged once, resolved"),
    (ROLLED_BACK, {"pages": (replace(PAGED, resolved=False),)}, "paged once, resolved"),
    (ROLLED_BACK, {"pages": (replace(PAGED, pages=2),)}, "paged once, resolved"),
    (ROLLED_BACK, {"pages": (PAGED, PAGED)}, "paged once, resolved"),
    (ROLLED_BACK, {"outcome": "NotRecovered"}, "the incident says so"),
    (ROLLED_BACK, {"incidents": 2}, "the incident says so"),
    (CLICKED, {"served": {"v1": Tally(9), "v2": Tally()}}, "the fault reached clients"),
    (CLICKED, {"clicked_at": None}, "by whom it should"),
    (CLICKED, {"clicked_at": after(11.5)}, "by whom it should"),
    (CLICKED, {"click_taken": False}, "by whom it should"),
    (TOLD, {"other_writes": 1}, "the Deployment is untouched"),
    (TOLD, {"undos": (UNDO,)}, "the Deployment is untouched"),
    (TOLD, {"version": "v1"}, "the Deployment is untouched"),
    (TOLD, {"pages": (PAGED,)}, "nobody was paged"),
    (TOLD, {"outcome": "RolledBack"}, "the incident says so"),
    (ASKED, {"first_fault_at": after(2)}, "the fault is older than the release"),
    (ASKED, {"first_fault_at": None}, "the fault is older than the release"),
    (ASKED, {"undos": (UNDO,)}, "the Deployment is untouched"),
    (ASKED, {"version": "v1"}, "the Deployment is untouched"),
    (ASKED, {"pages": ()}, "paged once, not resolved"),
    (ASKED, {"pages": (PAGED,)}, "paged once, not resolved"),
    (ASKED, {"phase": "Open"}, "the incident says so"),
    (ASKED, {"reason": "RuleAsks"}, "the incident says so"),
    (ASKED, {"outcome": "Expired"}, "the incident says so"),
]


@pytest.mark.parametrize(("good", "change", "check"), WRONG)
def test_what_is_wrong_fails_its_own_check(good: Evidence, change: dict[str, Any], check: str) -> None:
    failed = [finding.check for finding in judge(replace(good, **change)) if not finding.passed]
    assert failed == [check]
