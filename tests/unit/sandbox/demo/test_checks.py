"""The guards on the screen: what stands in the way with its numbers, the rest as far as there is room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from responder.sandbox.demo.checks import draw_checks
from responder.sandbox.demo.view import View
from tests.unit.sandbox.demo.test_screen import GUARDS, a_view, after, lines_of

Verdict = dict[str, object]


def verdict(check: str, result: str = "Passed", reason: str = "", **evidence: str) -> Verdict:
    return {"check": check, "result": result, "reason": reason or check, "evidence": evidence}


STILL_TRUE = verdict(
    "StillTrue", error_rate="0.0491", error_rate_threshold="0.01", error_rate_samples="1003.2"
)
BEFORE = verdict(
    "CausedByRollout",
    "Failed",
    "OnsetBeforeRollout",
    onset=after(-1.9).isoformat(),
    began=after(1.1).isoformat(),
)


def shown(view: View, width: int, rows: int) -> list[str]:
    lines = lines_of(draw_checks(view, width, rows), width + 4, rows + 2)
    return [line[2:-2].rstrip() for line in lines[1:-1]]


def with_guards(*guards: Verdict, action: str = "rollback") -> View:
    return replace(a_view(), guards=guards, action=action)


@pytest.mark.parametrize(
    ("guard", "line"),
    [
        (STILL_TRUE, "✓ StillTrue 4.9% > 1.0%, 1003 samples"),
        (verdict("TargetExists", target="payment-service-97c454b88"), "✓ TargetExists v1"),
        (
            verdict("InsideRollbackWindow", began=after(1.1).isoformat(), window="24h"),
            "✓ InsideRollbackWindow v2 from +1.1 s, window 24h",
        ),
        (
            verdict("TargetWasGood", healthy_until=after(0.5).isoformat()),
            "✓ TargetWasGood healthy until +0.5 s",
        ),
        (
            verdict("TargetWasGood", healthy_until=after(-0.01).isoformat()),
            "✓ TargetWasGood healthy until +0.0 s",
        ),
        (verdict("NotFrozen"), "✓ NotFrozen"),
        (verdict("StillTrue", error_rate="None", error_rate_threshold="0.01"), "✓ StillTrue no value"),
        (
            verdict("AtBaseline", error_rate="0", error_rate_threshold="0.01", error_rate_baseline="0.0038"),
            "✓ AtBaseline 0.0%, before 0.4%",
        ),
    ],
)
def test_what_passed_shows_what_it_rests_on(guard: Verdict, line: str) -> None:
    assert shown(with_guards(guard), 60, 3)[0] == line


@pytest.mark.parametrize(
    ("width", "line"),
    [(40, "✓ StillTrue 4.9% > 1.0%, 1003 samples"), (30, "✓ StillTrue 4.9% > 1.0%"), (22, "✓ StillTrue")],
)
def test_numbers_are_left_out_whole_where_they_do_not_fit(width: int, line: str) -> None:
    assert shown(with_guards(STILL_TRUE), width, 3)[0] == line


def test_what_stands_in_the_way_comes_first_and_in_full() -> None:
    others = [verdict(name) for name in GUARDS if name != "CausedByRollout"]
    assert shown(with_guards(*others[:6], BEFORE, *others[6:]), 22, 10) == [
        "✗ CausedByRollout",
        "  OnsetBeforeRollout",
        "  trouble from -1.9 s,",
        "  v2 from +1.1 s",
        "✓ WorkloadExists",
        "✓ TargetExists",
        "✓ NotPaused",
        "✓ NotProtected",
        "✓ StillTrue",
        "✓ 4 more",
    ]


def test_without_room_for_the_guards_the_proof_still_shows() -> None:
    view = replace(
        with_guards(*(verdict(name) for name in GUARDS)),
        proofs=(verdict("ConditionFalse"), verdict("AtBaseline")),
    )
    lines = shown(view, 22, 10)
    assert lines[0] == "✓ 10 passed"
    assert [line for line in lines if line][1:] == ["proof", "✓ ConditionFalse", "✓ AtBaseline"]
    lines = shown(view, 40, 14)
    assert lines[:10] == [f"✓ {name}" for name in GUARDS]
    assert lines[10:13] == ["proof", "✓ ConditionFalse", "✓ AtBaseline"]


def test_of_a_long_proof_as_much_is_shown_as_there_is_room_for() -> None:
    proofs = tuple(verdict(f"Check{number}") for number in range(16))
    view = replace(with_guards(*(verdict(name) for name in GUARDS)), proofs=proofs)
    assert shown(view, 22, 10) == [
        "✓ 10 passed",
        "proof",
        *(f"✓ Check{number}" for number in range(7)),
        "✓ 9 more",
    ]
    assert shown(view, 40, 17)[9:] == [
        f"✓ {GUARDS[-1]}",
        "proof",
        *(f"✓ Check{number}" for number in range(5)),
        "✓ 11 more",
    ]


@pytest.mark.parametrize(
    ("action", "first"),
    [
        ("none", "not needed: the rule only tells"),
        ("ask", "a person decides"),
        ("rollback", "✓ NotFrozen"),
        ("", "✓ NotFrozen"),
    ],
)
def test_a_rule_that_does_not_roll_back_says_what_the_guards_are_for(action: str, first: str) -> None:
    assert shown(with_guards(verdict("NotFrozen"), action=action), 40, 3)[0] == first
