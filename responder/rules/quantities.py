"""Durations, percentages and plain numbers as people write them and as Prometheus writes them. Pure."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from responder.rules.findings import TextError

# Source: https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations
_MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _MILLISECONDS))
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_FRACTION = re.compile(r"(?P<number>[0-9]+\.[0-9]+)(?P<unit>ms|s|m|h)")
_CLOCK_TIME = re.compile(r"[0-9]+(:[0-9]{1,2})+")
_LONGEST = timedelta(days=3650)


class Unit(StrEnum):
    """What a metric's value counts."""

    RATIO = "ratio"
    SECONDS = "seconds"
    COUNT = "count"


_KIND = {Unit.RATIO: "a ratio", Unit.SECONDS: "in seconds", Unit.COUNT: "a count"}


def parse_duration(text: str) -> timedelta:
    """The duration that `text` names, such as "5m", "1h30m" or "500ms", to the millisecond.

    Raises TextError with what to write instead.
    """
    if text == "0":
        return timedelta()
    if _NUMBER.fullmatch(text):
        raise TextError(f"{text} has no unit: write {text}s, {text}m or {text}h")
    if _CLOCK_TIME.fullmatch(text):
        raise TextError(f"{text} looks like a time of day: write a duration such as 5m or 1h30m")
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise TextError(f"{text!r} is no duration: write one such as 30s, 5m or 1h30m")
    # Large counts are cut before the multiplication can overflow a timedelta.
    digits = {unit: count for unit, count in match.groupdict().items() if count is not None}
    total = sum(min(int(count[:15]), 10**13) * _MILLISECONDS[unit] for unit, count in digits.items())
    if total > _LONGEST / timedelta(milliseconds=1):
        raise TextError(f"{text} is too long: at most 10 years")
    return timedelta(milliseconds=total)


def format_duration(duration: timedelta) -> str:
    """The duration as Prometheus and people write it: 5m, 1h30m, 1m30s500ms. Below zero is a ValueError."""
    rest = round(duration / timedelta(milliseconds=1))
    if rest < 0:
        raise ValueError(f"a duration can't be below zero: {duration}")
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _MILLISECONDS[unit])
        # 24h reads better than 1d, and is what rule files say.
        if unit == "d" and count < 2:
            rest += count * _MILLISECONDS[unit]
        elif count:
            text += f"{count}{unit}"
    return text or "0s"


def format_number(value: float) -> str:
    """The number as PromQL and bucket labels write it: 3 for 3.0, 0.01, NaN, +Inf."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def parse_threshold(text: str, unit: Unit | None) -> float:
    """The number that `text` stands for in a metric's unit: "1%" of a ratio is 0.01, "500ms" of seconds 0.5.

    None, for a metric whose own unit is wrong, takes a threshold of any unit. Raises TextError where the
    text is no threshold or belongs to another unit.
    """
    if text.endswith("%"):
        return _parse_percentage(text, unit)
    if _NUMBER.fullmatch(text):
        return _parse_plain(text, unit)
    seconds = _parse_seconds(text)
    if seconds is None:
        raise TextError(f"{text!r} is no threshold: write a percentage (1%), a duration (3s) or a number")
    if unit is not None and unit is not Unit.SECONDS:
        example = "a percentage such as 1%" if unit is Unit.RATIO else "a plain number"
        raise TextError(f"{text} is a duration, but the metric is {_KIND[unit]}: write {example}")
    return seconds


def _parse_percentage(text: str, unit: Unit | None) -> float:
    number = text[:-1].rstrip()
    if not _NUMBER.fullmatch(number):
        raise TextError(f"{text!r} is no percentage: write one such as 1% or 0.5%")
    if unit is not None and unit is not Unit.RATIO:
        example = "a duration such as 3s" if unit is Unit.SECONDS else "a plain number"
        raise TextError(f"{text} is a percentage, but the metric is {_KIND[unit]}: write {example}")
    if float(number) > 100:
        raise TextError(f"{text} is over 100%, which a ratio never is")
    # In decimals: binary floats would make 0.7% less than 0.007.
    return float(Decimal(number) / 100)


def _parse_plain(text: str, unit: Unit | None) -> float:
    number = float(text)
    if unit is Unit.SECONDS:
        raise TextError(f"{text} has no unit, but the metric is in seconds: write {text}s or {text}ms")
    if unit is Unit.RATIO and number >= 1:
        raise TextError(f"{text} of a ratio is ambiguous: write {text}%, or a ratio below 1 such as 0.01")
    return number


def _parse_seconds(text: str) -> float | None:
    """Thresholds may be fractions, such as 2.5s, which PromQL's own durations may not."""
    fraction = _FRACTION.fullmatch(text)
    if fraction is not None:
        return float(Decimal(fraction["number"]) * _MILLISECONDS[fraction["unit"]] / 1000)
    try:
        return parse_duration(text) / timedelta(seconds=1)
    except TextError:
        return None
