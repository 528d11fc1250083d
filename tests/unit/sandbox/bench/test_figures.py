"""A figure keeps its goal or says that it does not."""

from __future__ import annotations

import json

import pytest

from responder.sandbox.bench.figures import Figure, median_and_p95, render_json, render_markdown


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


def test_the_readme_gets_a_table_that_names_its_command() -> None:
    figures = [
        Figure("told", 1234.5, "ms"),
        Figure("below", 0.5, "s", 1),
        Figure("at most", 1.625, "ratio", 1.5, inclusive=True),
    ]
    assert render_markdown(figures, "`make bench` on a machine.").splitlines() == [
        "`make bench` on a machine.",
        "",
        "| figure | value | goal |",
        "|---|---:|---:|",
        "| told | 1,234 ms |  |",
        "| below | 0.5 s | < 1 |",
        "| at most | 1.62 | ≤ 1.5 (missed) |",
    ]
