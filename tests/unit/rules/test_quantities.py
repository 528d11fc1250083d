"""Durations, thresholds and numbers, and what is said of those that are none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.rules.findings import TextError
from responder.rules.quantities import Unit, format_duration, format_number, parse_duration, parse_threshold


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("5m", 300, "5m"),
        ("90s", 90, "1m30s"),
        ("1h30m", 5400, "1h30m"),
        ("500ms", 0.5, "500ms"),
        ("24h", 86400, "24h"),
        ("1d", 86400, "24h"),
        ("2d", 172800, "2d"),
        ("1w", 604800, "7d"),
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
    ],
)
def test_durations(text: str, seconds: float, written: str) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert format_duration(timedelta(seconds=seconds)) == written


@given(st.integers(min_value=0, max_value=10**11))
def test_a_written_duration_reads_the_same(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("300", "300 has no unit: write 300s, 300m or 300h"),
        ("22:30", "22:30 looks like a time of day: write a duration such as 5m or 1h30m"),
        ("", "'' is no duration: write one such as 30s, 5m or 1h30m"),
        ("5 m", "'5 m' is no duration: write one such as 30s, 5m or 1h30m"),
        ("5m1h", "'5m1h' is no duration: write one such as 30s, 5m or 1h30m"),
        ("-5m", "'-5m' is no duration: write one such as 30s, 5m or 1h30m"),
        ("1.5h", "'1.5h' is no duration: write one such as 30s, 5m or 1h30m"),
        ("11y", "11y is too long: at most 10 years"),
        ("9" * 400 + "y", "9" * 400 + "y is too long: at most 10 years"),
    ],
)
def test_no_durations(text: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_duration(text)
    assert caught.value.message == message


def test_a_duration_below_zero_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="below zero"):
        format_duration(timedelta(seconds=-1))


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1%", Unit.RATIO, 0.01),
        ("0.7%", Unit.RATIO, 0.007),
        ("99.5 %", Unit.RATIO, 0.995),
        ("100%", Unit.RATIO, 1.0),
        ("0.01", Unit.RATIO, 0.01),
        ("3s", Unit.SECONDS, 3.0),
        ("2.5s", Unit.SECONDS, 2.5),
        ("500ms", Unit.SECONDS, 0.5),
        ("1m30s", Unit.SECONDS, 90.0),
        ("12", Unit.COUNT, 12.0),
        ("0.5", Unit.COUNT, 0.5),
    ],
)
def test_thresholds(text: str, unit: Unit, value: float) -> None:
    assert parse_threshold(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("3s", Unit.RATIO, "3s is a duration, but the metric is a ratio: write a percentage such as 1%"),
        ("3s", Unit.COUNT, "3s is a duration, but the metric is a count: write a plain number"),
        (
            "1%",
            Unit.SECONDS,
            "1% is a percentage, but the metric is in seconds: write a duration such as 3s",
        ),
        ("1%", Unit.COUNT, "1% is a percentage, but the metric is a count: write a plain number"),
        ("5", Unit.SECONDS, "5 has no unit, but the metric is in seconds: write 5s or 5ms"),
        ("1", Unit.RATIO, "1 of a ratio is ambiguous: write 1%, or a ratio below 1 such as 0.01"),
        ("101%", Unit.RATIO, "101% is over 100%, which a ratio never is"),
        ("-1%", Unit.RATIO, "'-1%' is no percentage: write one such as 1% or 0.5%"),
        ("much", Unit.RATIO, "'much' is no threshold: write a percentage (1%), a duration (3s) or a number"),
        ("nan", Unit.COUNT, "'nan' is no threshold: write a percentage (1%), a duration (3s) or a number"),
    ],
)
def test_no_thresholds(text: str, unit: Unit, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_threshold(text, unit)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (0.01, "0.01"),
        (0.007, "0.007"),
        (-2.0, "-2"),
        (1e300, "1e+300"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
    ],
)
def test_numbers_as_promql_writes_them(value: float, text: str) -> None:
    assert format_number(value) == text
