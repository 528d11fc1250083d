"""How long ago something was, as the API server's tables put it: 42s, 3m20s, 5d.

Pure. Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/util/duration
"""

from __future__ import annotations

from datetime import datetime

UNKNOWN = "<unknown>"


def parse_time(text: str) -> datetime | None:
    """Return the instant that an RFC 3339 text names, None when it names none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def age_text(since: object, now: datetime) -> str:
    """Return how long ago the RFC 3339 time since was, "<unknown>" without one."""
    instant = parse_time(since) if isinstance(since, str) else None
    if instant is None or instant.tzinfo is None:
        return UNKNOWN
    return duration_text((now - instant).total_seconds())


def duration_text(seconds: float) -> str:
    """Write a duration with two units at most, the fewer the longer it is."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
