"""Templates, numbers and durations come out as Prometheus writes them (as promtool 2.42 showed)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from responder.sandbox.prometheus.formatting import (
    format_number,
    format_scientific,
    parse_duration,
)
from responder.sandbox.prometheus.templates import expand_template

POD = (("pod", "a"),)


@pytest.mark.parametrize(
    ("value", "plain", "humanized", "percentage", "duration", "printed"),
    [
        (1e6, "1e+06", "1M", "1e+08%", "11d 13h 46m 40s", "1000000.00"),
        (123456789.0, "1.23456789e+08", "123.5M", "1.235e+10%", "1428d 21h 33m 9s", "123456789.00"),
        (0.0001, "0.0001", "100u", "0.01%", "100us", "0.00"),
        (0.00001, "1e-05", "10u", "0.001%", "10us", "0.00"),
        (0.0123, "0.0123", "12.3m", "1.23%", "12.3ms", "0.01"),
        (5.0, "5", "5", "500%", "5s", "5.00"),
        (1.5, "1.5", "1.5", "150%", "1.5s", "1.50"),
        (61.0, "61", "61", "6100%", "1m 1s", "61.00"),
        (3700.0, "3700", "3.7k", "3.7e+05%", "1h 1m 40s", "3700.00"),
        (90000.5, "90000.5", "90k", "9e+06%", "1d 1h 0m 0s", "90000.50"),
        (0.99999, "0.99999", "1000m", "100%", "1000ms", "1.00"),
        (1234.5678, "1234.5678", "1.235k", "1.235e+05%", "20m 34s", "1234.57"),
    ],
)
def test_numbers_in_templates(
    value: float, plain: str, humanized: str, percentage: str, duration: str, printed: str
) -> None:
    templates = (
        "{{ $value }}",
        "{{ $value | humanize }}",
        "{{ humanizePercentage $value }}",
        "{{ $value | humanizeDuration }}",
        '{{ printf "%.2f" $value }}',
    )

    assert [expand_template(text, POD, value) for text in templates] == [
        plain,
        humanized,
        percentage,
        duration,
        printed,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pod {{ $labels.pod }}, {{.Labels.pod}}", "pod a, a"),
        ("{{ $labels.nosuch }}!", "!"),
        ("a {{- $labels.pod -}} b", "aab"),
        ('{{ $value | printf "%.3g%%" }}', "0.5%"),
        ("{{ query `up` }}", "<error expanding template: "),
        ("{{ $value | shout }}", '<error expanding template: function "shout" not defined>'),
    ],
)
def test_text_in_templates(text: str, expected: str) -> None:
    assert expand_template(text, POD, 0.5).startswith(expected)


@pytest.mark.parametrize(
    ("value", "number", "scientific"),
    [
        (0.0, "0", "0e+00"),
        (-0.25, "-0.25", "-2.5e-01"),
        (1e20, "100000000000000000000", "1e+20"),
        (1e21, "1e+21", "1e+21"),
        (1e-6, "0.000001", "1e-06"),
        (1.5e-7, "1.5e-07", "1.5e-07"),
        (float("inf"), "+Inf", "+Inf"),
        (float("nan"), "NaN", "NaN"),
    ],
)
def test_numbers_in_answers(value: float, number: str, scientific: str) -> None:
    assert (format_number(value), format_scientific(value)) == (number, scientific)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("90s", 90),
        ("0", 0),
        ("1500ms", 1.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "1m1h", "-5m", "1.5s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid duration"):
        parse_duration(text)
