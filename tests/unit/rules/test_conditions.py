"""The condition language: what it accepts, where it finds mistakes, and its three-valued logic."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from responder.rules.conditions import (
    LONGEST_CONDITION,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    comparisons,
    holds,
    parse_condition,
)
from responder.rules.findings import TextError
from responder.rules.model import Metric
from responder.rules.quantities import Unit


def _metric(name: str, unit: Unit) -> Metric:
    five, one = timedelta(minutes=5), timedelta(minutes=1)
    return Metric(name, unit, five, "q", "s", None, None, one)


METRICS = {
    "error_rate": _metric("error_rate", Unit.RATIO),
    "latency_p95": _metric("latency_p95", Unit.SECONDS),
    "queue": _metric("queue", Unit.COUNT),
}
ERRORS = Comparison("error_rate", ">", 0.01, "error_rate > 1%")
SLOW = Comparison("latency_p95", ">=", 5.0, "latency_p95 >= 5s")
QUEUE = Comparison("queue", "<", 3.0, "queue < 3")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("error_rate > 1%", ERRORS),
        ("error_rate>1%", ERRORS),
        ("  error_rate\n> 1%  ", ERRORS),
        ("(error_rate > 1%)", ERRORS),
        ("error_rate > 1% OR latency_p95 >= 5s", AnyOf((ERRORS, SLOW))),
        ("error_rate > 1% or latency_p95 >= 5s or queue < 3", AnyOf((ERRORS, SLOW, QUEUE))),
        ("error_rate > 1% AND latency_p95 >= 5s", AllOf((ERRORS, SLOW))),
        ("error_rate > 1% OR latency_p95 >= 5s AND queue < 3", AnyOf((ERRORS, AllOf((SLOW, QUEUE))))),
        ("(error_rate > 1% OR latency_p95 >= 5s) AND queue < 3", AllOf((AnyOf((ERRORS, SLOW)), QUEUE))),
    ],
)
def test_parses(text: str, condition: Condition) -> None:
    assert parse_condition(text, METRICS) == condition


@pytest.mark.parametrize(
    "text",
    ["error_rate > 1%", "error_rate > 1% OR queue < 3", "(error_rate > 1% OR queue < 3) AND queue < 3"],
)
def test_reads_as_it_was_written(text: str) -> None:
    assert str(parse_condition(text, METRICS)) == text


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, "expected a condition such as error_rate > 1%"),
        ("eror_rate > 1%", 0, "unknown metric eror_rate: did you mean error_rate?"),
        ("xyz > 1%", 0, "unknown metric xyz: known are error_rate, latency_p95, queue"),
        ("error_rate", 10, "expected >, >=, < or <= and a threshold after the metric"),
        ("error_rate >", 12, "expected a threshold after >"),
        ("error_rate => 1%", 11, "expected >, >=, < or <= after error_rate, found '=>'"),
        ("error_rate == 1%", 11, "expected >, >=, < or <= after error_rate, found '=='"),
        ("error_rate 1%", 11, "expected >, >=, < or <= after error_rate, found '1%'"),
        ("error_rate > 1% OR", 18, "expected a condition such as error_rate > 1%"),
        ("error_rate > 1% OR OR queue < 3", 19, "expected a metric's name such as error_rate, found 'OR'"),
        ("not error_rate > 1%", 0, "expected a metric's name such as error_rate, found 'not'"),
        ("1% < error_rate", 0, "expected a metric's name such as error_rate, found '1%'"),
        ("(error_rate > 1%", 0, "the parenthesis is never closed"),
        ("queue < 3 OR (error_rate > 1%", 13, "the parenthesis is never closed"),
        ("error_rate > 1%)", 15, "expected AND, OR or the end, found ')'"),
        ("error_rate > 1% latency_p95 > 5s", 16, "expected AND, OR or the end, found 'latency_p95'"),
        ("error_rate > 1% || queue < 3", 16, "expected AND, OR or the end, found '||'"),
        (
            "error_rate > 3s",
            13,
            "error_rate: 3s is a duration, but the metric is a ratio: write a percentage such as 1%",
        ),
        (
            "error_rate > 1 % OR latency_p95 > 5",
            34,
            "latency_p95: 5 has no unit, but the metric is in seconds: write 5s or 5ms",
        ),
        ("(" * 600, 0, f"longer than {LONGEST_CONDITION} characters: split the condition into two alerts"),
        ("(" * 500, 20, "more than 20 parentheses in each other"),
        ("(" * 20, 20, "expected a condition such as error_rate > 1%"),
    ],
)
def test_finds_the_mistake_at_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_condition(text, METRICS)
    assert (caught.value.offset, caught.value.message) == (offset, message)


def test_without_metrics_it_says_so() -> None:
    with pytest.raises(TextError, match="unknown metric error_rate: the file defines no metric"):
        parse_condition("error_rate > 1%", {})


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
    ],
)
def test_compares(operator: str, below: bool, at: bool, above: bool) -> None:
    condition = parse_condition(f"queue {operator} 3", METRICS)
    assert [holds(condition, {"queue": value}) for value in (2.9, 3.0, 3.1)] == [below, at, above]


@pytest.mark.parametrize("values", [{}, {"queue": None}, {"queue": float("nan")}])
def test_no_value_is_unknown(values: dict[str, float | None]) -> None:
    assert holds(QUEUE, values) is None


def test_infinity_is_a_value() -> None:
    assert holds(parse_condition("queue > 3", METRICS), {"queue": float("inf")}) is True


TRUTH = (True, False, None)
# In the order of itertools.product(TRUTH, TRUTH).
ANY = (True, True, True, True, False, None, True, None, None)
ALL = (True, False, None, False, False, False, None, False, None)


@pytest.mark.parametrize(
    ("left", "right", "either", "both"),
    [(*pair, any_, all_) for pair, any_, all_ in zip(itertools.product(TRUTH, TRUTH), ANY, ALL, strict=True)],
)
def test_kleene(left: bool | None, right: bool | None, either: bool | None, both: bool | None) -> None:
    errors = {True: 0.5, False: 0.0, None: None}[left]
    queue = {True: 1.0, False: 9.0, None: None}[right]
    values = {"error_rate": errors, "queue": queue}

    assert holds(AnyOf((ERRORS, QUEUE)), values) is either
    assert holds(AllOf((ERRORS, QUEUE)), values) is both


def test_comparisons_in_the_order_of_the_text() -> None:
    condition = parse_condition("(error_rate > 1% OR latency_p95 >= 5s) AND queue < 3", METRICS)
    assert comparisons(condition) == (ERRORS, SLOW, QUEUE)
