"""Numbers, times and durations as Prometheus writes and reads them. Pure."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_DURATION = re.compile(
    r"(?:(?P<y>[0-9]+)y)?(?:(?P<w>[0-9]+)w)?(?:(?P<d>[0-9]+)d)?(?:(?P<h>[0-9]+)h)?"
    r"(?:(?P<m>[0-9]+)m)?(?:(?P<s>[0-9]+)s)?(?:(?P<ms>[0-9]+)ms)?"
)
_UNIT_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}


def parse_duration(text: str) -> timedelta:
    """Read `1h30m`, `15s`, `0`. Raises ValueError."""
    if text == "0":
        return timedelta()
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f'not a valid duration string: "{text}"')
    amounts = found.groupdict(default="0")
    return timedelta(milliseconds=sum(int(amounts[unit]) * size for unit, size in _UNIT_MS.items()))


def to_ms(at: datetime) -> int:
    """Milliseconds since the epoch, rounded."""
    return round(at.timestamp() * 1000)


def rfc3339(at: datetime) -> str:
    """An instant with milliseconds, as Prometheus and Alertmanager exchange them."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def format_number(value: float) -> str:
    """A sample's value in an answer of the query API: the shortest text that is the same number."""
    if not math.isfinite(value):
        return _special(value)
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        return format_scientific(value)
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_scientific(value: float) -> str:
    """A number with an exponent of at least two digits, such as 1.5e-03."""
    if not math.isfinite(value):
        return _special(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int), "the number is finite"
    mantissa = "".join(map(str, digits))
    power = exponent + len(mantissa) - 1 if value else 0
    fraction = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"


def format_general(value: float) -> str:
    """A number as Go's %v prints it, which is what {{ $value }} becomes."""
    if math.isfinite(value) and value != 0 and not 1e-4 <= abs(value) < 1e6:
        return format_scientific(value)
    return format_number(value)


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
