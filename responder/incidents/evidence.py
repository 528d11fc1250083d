"""The numbers in a recorded verdict's evidence, put together again: value, threshold, samples, query. Pure.

Guards write them as `<metric>`, `<metric>_threshold` and so on, see rules/guards/wording.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from responder.incidents.model import VerdictEntry

# Since when a condition holds; or when the trouble began that a guard judges.
_SINCE = ("since", "onset")
_PARTS = ("threshold", "samples", "range", "query")


@dataclass(frozen=True, slots=True)
class Number:
    """One measured number; what was not recorded is None. All is text, as it was written down."""

    metric: str
    value: str | None
    threshold: str
    samples: str | None
    range: str | None
    query: str | None


def numbers_of(verdict: VerdictEntry) -> tuple[Number, ...]:
    """What was measured against a threshold, in the order it was written down."""
    evidence = verdict.evidence
    names = [name for name in evidence if f"{name}_threshold" in evidence]
    return tuple(_number(evidence, name) for name in names)


def rest_of(verdict: VerdictEntry) -> dict[str, str]:
    """The evidence that belongs to none of the numbers, and is not since when."""
    names = [number.metric for number in numbers_of(verdict)]
    told = {*_SINCE, *names, *(f"{name}_{part}" for name in names for part in _PARTS)}
    return {key: value for key, value in verdict.evidence.items() if key not in told}


def since_of(verdict: VerdictEntry) -> datetime | None:
    """Since when it is so, where that was recorded and can be read."""
    written = next((verdict.evidence[key] for key in _SINCE if key in verdict.evidence), "")
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def _number(evidence: dict[str, str], name: str) -> Number:
    threshold, samples, range, query = (_told(evidence, f"{name}_{part}") for part in _PARTS)
    return Number(name, _told(evidence, name), threshold or "", samples, range, query)


def _told(evidence: dict[str, str], key: str) -> str | None:
    found = evidence.get(key)
    # What was not measured is written down as Python says it.
    return None if found == "None" else found
