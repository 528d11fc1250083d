"""A figure keeps its goal or says that it does not."""

from __future__ import annotations

import json

import pytest

from responder.sandbox.bench.figures import Figure, median_and_p95, render_json


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("told", 9.0, "ms"), None),
        (Figure("below", 1.9, "s", 2), True),
        (Figure("at it", 2.0, "s", 2), False),
        (Figure("at most", 1.5, "ratio", 1.5, inclusive=True), True),
        (Figure("above", 1.6, "ratio", 1.5, inclusive=True), False),
    ],
)
def test_a_goal_is_met_or_missed(figure: Figure, met: bool | None) -> None:
    assert figure.met is met
    (entry,) = json.loads(render_json([figure]))
    assert entry == {
        "name": figure.name,
        "value": figure.value,
        "unit": figure.unit,
        "goal": figure.goal,
        "met": met,
    }


def test_median_and_p95_are_in_milliseconds() -> None:
    median, p95 = median_and_p95("it", [number / 1000 for number in range(1, 102)])
    assert median.name == "it, median of 101"
    assert median.value == pytest.approx(51.0)
    assert p95.value == pytest.approx(96.0)
