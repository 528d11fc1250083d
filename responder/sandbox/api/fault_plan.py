"""Draws faults from a seed: the same seed gives the same plan, so that a run that failed can be run again.

It reads no clock and changes nothing. The server plays a plan and keeps a record of what hit whom.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.sandbox.api.disturbances import (
    BreakWatches,
    Disturbance,
    ExpireWatches,
    HangWatches,
    LagWatches,
    LoseHistory,
    Restart,
    SkewClock,
)
from responder.sandbox.api.faults import Delay, DropAfter, DropBefore, Effect, FaultRule, Hang, Late, Refuse

_LONGEST_WINDOW_SECONDS = 20.0
_LONGEST_DELAY_SECONDS = 5.0
# Longer than clients wait for an answer.
_LONGEST_LATENESS_SECONDS = 60.0
_LONGEST_DOWN_SECONDS = 5.0
_LARGEST_SKEW_SECONDS = 120.0
_LONGEST_LAG_SECONDS = 10.0
_MOST_HITS = 3
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Requests that faults may hit: a method ("*": any) and what is found in the path with its query."""

    method: str
    path: str


# What clients of workloads do: read them, follow them, change them, keep leases and records of their own.
USUAL_PATTERNS = (
    Pattern("GET", r"/(deployments|replicasets|pods|endpointslices)(/|\?|$)"),
    Pattern("GET", r"[?&]watch=(1|[Tt]rue)"),
    Pattern("PATCH", r"/deployments/"),
    Pattern("POST", r"/apis/[^/]+\.[^/]+/"),
    Pattern("PATCH", r"/status(\?|$)"),
    Pattern("PUT", r"/leases/"),
    Pattern("*", r"/apis?/"),
)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rules for requests, and what befalls the server, in order of time."""

    seed: int
    rules: tuple[FaultRule, ...]
    disturbances: tuple[Disturbance, ...]


def draw_plan(
    seed: int,
    begins_at: datetime,
    lasts: timedelta,
    *,
    rules: int = 8,
    disturbances: int = 2,
    patterns: Sequence[Pattern] = USUAL_PATTERNS,
) -> FaultPlan:
    """Draw a plan for the time from begins_at on; every rule hits a few requests at most."""
    source = random.Random(seed)
    drawn = [_rule(source, begins_at, lasts, patterns) for _ in range(rules)]
    befalling = [_disturbance(source, _moment(source, begins_at, lasts)) for _ in range(disturbances)]
    in_time = sorted(befalling, key=lambda disturbance: disturbance.at)
    return FaultPlan(seed, tuple(drawn), tuple(in_time))


def _rule(
    source: random.Random, begins_at: datetime, lasts: timedelta, patterns: Sequence[Pattern]
) -> FaultRule:
    pattern = source.choice(patterns)
    opens_at = _moment(source, begins_at, lasts)
    window = timedelta(seconds=round(source.uniform(1, _LONGEST_WINDOW_SECONDS), 3))
    return FaultRule(
        method=pattern.method,
        path=pattern.path,
        effect=_effect(source, writes=pattern.method in _WRITES),
        count=source.randint(1, _MOST_HITS),
        begins_at=opens_at,
        ends_at=min(opens_at + window, begins_at + lasts),
    )


def _effect(source: random.Random, *, writes: bool) -> Effect:
    after = source.random() < 0.5
    choices: list[Effect] = [
        Refuse(429, retry_after_seconds=source.randint(1, 5)),
        Refuse(500, after_effect=after and writes),
        Refuse(503),
        Refuse(504, after_effect=after and writes),
        Delay(round(source.uniform(0.1, _LONGEST_DELAY_SECONDS), 3)),
        DropBefore(),
        DropAfter(),
        Hang(after_effect=after),
    ]
    if writes:
        choices += [Refuse(409), Late(round(source.uniform(1, _LONGEST_LATENESS_SECONDS), 3))]
    return source.choice(choices)


def _disturbance(source: random.Random, at: datetime) -> Disturbance:
    down = round(source.uniform(0.1, _LONGEST_DOWN_SECONDS), 3)
    skew = round(source.uniform(-_LARGEST_SKEW_SECONDS, _LARGEST_SKEW_SECONDS), 3)
    lag = round(source.uniform(0.1, _LONGEST_LAG_SECONDS), 3)
    lasts = round(source.uniform(1, _LONGEST_WINDOW_SECONDS), 3)
    choices: list[Disturbance] = [
        ExpireWatches(at),
        BreakWatches(at),
        HangWatches(at),
        LagWatches(at, lag, lasts),
        LoseHistory(at),
        Restart(at, down),
        SkewClock(at, skew),
    ]
    return source.choice(choices)


def _moment(source: random.Random, begins_at: datetime, lasts: timedelta) -> datetime:
    return begins_at + timedelta(seconds=round(source.uniform(0, lasts.total_seconds()), 3))
