"""The freeze mark: what the annotation responder.dev/freeze says, and until when it counts. Pure.

Its value is a reason, which holds until somebody removes it, or `until INSTANT: reason`, which ends by
itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from responder.workloads.views import FREEZE, Object

_WITH_END = re.compile(r"until\s+(\S+?)(?::\s*|:\s+(.*))?", re.DOTALL)
# Source: RFC 3339, section 5.6. Without an offset nobody could tell which instant is meant.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class FreezeMark:
    """A reason, and when the freeze ends by itself; None: not until somebody removes the mark."""

    reason: str
    until: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """True unless it has an end that has passed."""
        return self.until is None or now < self.until


def parse_freeze(value: str) -> FreezeMark:
    """What the annotation's value says. An end that can't be read is none: rather frozen than not."""
    said = value.strip()
    found = _WITH_END.fullmatch(said)
    until = None if found is None else _parse_instant(found[1])
    return FreezeMark(said) if found is None or until is None else FreezeMark(found[2] or "", until)


def write_freeze(mark: FreezeMark) -> str:
    """The annotation's value for a mark; an end is written in UTC, to the second."""
    if mark.until is None:
        return mark.reason
    return f"until {mark.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}: {mark.reason}"


def frozen(obj: Object, now: datetime) -> str | None:
    """The value of the object's freeze mark while it counts, None without one and after its end."""
    value = ((obj.get("metadata") or {}).get("annotations") or {}).get(FREEZE)
    return str(value) if value is not None and parse_freeze(str(value)).in_force(now) else None


def _parse_instant(text: str) -> datetime | None:
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # a thirteenth month, the year 0
        return None
