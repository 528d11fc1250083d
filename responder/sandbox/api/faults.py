"""Faults that can be switched on per request pattern: refusals, delays, dropped and silent connections.

The server asks here before and after each request; tests, scenarios and fault plans set the rules. What was
done to whom is kept, so that a failing run can be explained, and compared with its replay.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from responder.sandbox.api.disturbances import Disturbance


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an HTTP error without doing anything; after_effect: do what was asked first."""

    code: int
    retry_after_seconds: int | None = None
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before doing what was asked; nothing is done for a client that gives up meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Late:
    """Never answer, and do what was asked so much later, though its client may have given up long before.

    So a write ends that a proxy or a queue held on to. (With Delay, who gives up takes the request back.)
    """

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


Effect = Refuse | Delay | Late | DropBefore | DropAfter | Hang


@dataclass(frozen=True, slots=True)
class FaultRule:
    """An effect on requests of method ("*": any) whose path and query match a pattern.

    It strikes count times (None: always), from begins_at until before ends_at (None: from, to any time), and
    only clients whose User-Agent the pattern client is found in.
    """

    method: str
    path: str
    effect: Effect
    count: int | None = None
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    client: str = ""

    def matches(self, method: str, target: str, at: datetime | None = None, client: str = "") -> bool:
        """Tell whether the rule is about a request that came at that time; target is path with query.

        A rule with a time is about no request whose time is not told.
        """
        if self.method not in ("*", method) or re.search(self.path, target) is None:
            return False
        if re.search(self.client, client) is None:
            return False
        if at is None:
            return self.begins_at is None and self.ends_at is None
        return (self.begins_at is None or self.begins_at <= at) and (
            self.ends_at is None or at < self.ends_at
        )


@dataclass(frozen=True, slots=True)
class FaultTaken:
    """One request that a rule hit; at is when it came, where that was told."""

    rule: FaultRule
    method: str
    target: str
    at: datetime | None = None

    def __str__(self) -> str:
        when = "" if self.at is None else f"{self.at:%H:%M:%S.%f} "
        return f"{when}{self.method} {self.target}: {self.rule.effect}"


class Faults:
    """The rules in force; the first that matches a request takes effect."""

    def __init__(self, kept: int = 1_000) -> None:
        """kept bounds how many hits, and how many disturbances, are remembered."""
        self.taken: deque[FaultTaken] = deque(maxlen=kept)
        self.befallen: deque[Disturbance] = deque(maxlen=kept)
        self._rules: list[tuple[FaultRule, int | None]] = []

    def add(self, rule: FaultRule) -> None:
        """Put a rule in force, behind those that are."""
        self._rules.append((rule, rule.count))

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()

    def take(self, method: str, target: str, at: datetime | None = None, client: str = "") -> Effect | None:
        """Return the effect that hits this request and count it, None when it goes through."""
        for index, (rule, left) in enumerate(self._rules):
            if not rule.matches(method, target, at, client):
                continue
            if left is not None:
                self._rules[index] = (rule, left - 1)
                if left <= 1:
                    del self._rules[index]
            self.taken.append(FaultTaken(rule, method, target, at))
            return rule.effect
        return None

    def record(self) -> list[str]:
        """Return a line for every request that was hit and every disturbance, each in order of time."""
        return [*map(str, self.taken), *map(str, self.befallen)]
