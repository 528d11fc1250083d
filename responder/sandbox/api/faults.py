"""Faults that can be switched on per request pattern: refusals, delays, dropped and silent connections.

The server asks here before and after each request; tests and scenarios set the rules. What was done is
kept, so that a failing run can be explained.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an HTTP error without doing anything; after_effect: do what was asked first."""

    code: int
    retry_after_seconds: int | None = None
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before doing what was asked."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DropBefore:
    """Close the connection without doing anything."""


@dataclass(frozen=True, slots=True)
class DropAfter:
    """Do what was asked, then close the connection instead of answering (a watch: once it has begun)."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Do nothing and never answer; after_effect: do what was asked first (a watch: begin, send nothing)."""

    after_effect: bool = False


Effect = Refuse | Delay | DropBefore | DropAfter | Hang


@dataclass(frozen=True, slots=True)
class FaultRule:
    """An effect on requests of method ("*": any) whose path and query match a pattern.

    It strikes count times (None: always).
    """

    method: str
    path: str
    effect: Effect
    count: int | None = None

    def matches(self, method: str, target: str) -> bool:
        """Tell whether the rule is about this request; target is the path with its query."""
        return self.method in ("*", method) and re.search(self.path, target) is not None


@dataclass(frozen=True, slots=True)
class FaultTaken:
    """One request that a rule hit."""

    rule: FaultRule
    method: str
    target: str


class Faults:
    """The rules in force; the first that matches a request takes effect."""

    def __init__(self, kept: int = 1_000) -> None:
        """kept bounds how many hits are remembered."""
        self.taken: deque[FaultTaken] = deque(maxlen=kept)
        self._rules: list[tuple[FaultRule, int | None]] = []

    def add(self, rule: FaultRule) -> None:
        """Put a rule in force, behind those that are."""
        self._rules.append((rule, rule.count))

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()

    def take(self, method: str, target: str) -> Effect | None:
        """Return the effect that hits this request and count it, None when it goes through."""
        for index, (rule, left) in enumerate(self._rules):
            if not rule.matches(method, target):
                continue
            if left is not None:
                self._rules[index] = (rule, left - 1)
                if left <= 1:
                    del self._rules[index]
            self.taken.append(FaultTaken(rule, method, target))
            return rule.effect
        return None
