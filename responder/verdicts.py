"""The three-valued answer that every guard and every proof gives.

Unknown is neither good nor bad: it holds an automatic rollback and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Evidence = Mapping[str, str | int | float | bool | None]


class Result(StrEnum):
    """What a check found."""

    PASSED = "Passed"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's answer: a CamelCase reason, a sentence for a person, and the numbers behind it."""

    check: str
    result: Result
    reason: str
    message: str
    evidence: Evidence = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True only for Passed."""
        return self.result is Result.PASSED


def passed(check: str, reason: str, message: str, **evidence: str | int | float | bool | None) -> Verdict:
    """The check holds."""
    return Verdict(check, Result.PASSED, reason, message, evidence)


def failed(check: str, reason: str, message: str, **evidence: str | int | float | bool | None) -> Verdict:
    """The check is known not to hold."""
    return Verdict(check, Result.FAILED, reason, message, evidence)


def unknown(check: str, reason: str, message: str, **evidence: str | int | float | bool | None) -> Verdict:
    """The check can't be answered now."""
    return Verdict(check, Result.UNKNOWN, reason, message, evidence)


def overall(verdicts: Iterable[Verdict]) -> Result:
    """Failed when one check failed, else Unknown when one can't tell, or when there is none; else Passed."""
    results = {verdict.result for verdict in verdicts}
    if Result.FAILED in results:
        return Result.FAILED
    return Result.PASSED if results == {Result.PASSED} else Result.UNKNOWN
