"""What the simulated pods count about themselves: transactions, errors, and a histogram of durations.

The counts follow from the number of requests alone (every share is spread evenly, not drawn), so a 5% error
rate is 5% in every short window and the same seed gives the same numbers. Filled by the traffic, read by the
exposition and by scraping.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from responder.sandbox.traffic.behaviour import Behaviour
from responder.sandbox.traffic.pods import PodDirectory, PodFacts

TRANSACTIONS = "payment_transactions_total"
ERRORS = "payment_errors_total"
DURATION = "payment_processing_duration_seconds"

LATENCY_BUCKETS: tuple[tuple[str, float], ...] = (
    ("0.1", 0.1),
    ("0.25", 0.25),
    ("0.5", 0.5),
    ("1", 1.0),
    ("2", 2.0),
    ("3", 3.0),
    ("5", 5.0),
    ("10", 10.0),
)
"""The histogram's bounds: the label's text and its value; +Inf follows."""


@dataclass(slots=True)
class _Spread:
    """Turns a share of a growing number into whole events: always within one of the exact count."""

    offset: float
    events: int = 0
    exact: float = 0.0

    def advance(self, expected: float) -> int:
        """The events that fall due when the exact count grows by `expected`."""
        self.exact += expected
        due = math.floor(self.exact + self.offset) - self.events
        self.events += due
        return due


@dataclass(slots=True)
class PodCounters:
    """One pod's counters; `within[i]` counts durations up to LATENCY_BUCKETS[i]."""

    transactions: int = 0
    errors: int = 0
    within: list[int] = field(default_factory=lambda: [0] * len(LATENCY_BUCKETS))
    duration_sum_seconds: float = 0.0
    _error_spread: _Spread = field(default_factory=lambda: _Spread(0.0))
    _slower_spreads: list[_Spread] = field(default_factory=list)

    @classmethod
    def seeded(cls, seed: str) -> PodCounters:
        """Counters whose first error and first slow answer fall where the seed says."""
        draw = random.Random(seed)
        phase = draw.random()
        return cls(
            _error_spread=_Spread(draw.random()),
            # One phase for all bounds: a duration beyond a bound is then also beyond every lower one.
            _slower_spreads=[_Spread(phase) for _ in LATENCY_BUCKETS],
        )

    def serve(self, requests: int, behaviour: Behaviour) -> int:
        """Count so many requests answered as the behaviour says; returns how many of them failed."""
        failed = self._error_spread.advance(requests * behaviour.error_rate)
        self.transactions += requests
        self.errors += failed
        self.duration_sum_seconds += requests * behaviour.latency_mean_seconds
        for index, (_, bound) in enumerate(LATENCY_BUCKETS):
            slower = self._slower_spreads[index].advance(requests * (1.0 - behaviour.share_within(bound)))
            self.within[index] += requests - slower
        return failed

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Name, labels and value of every series the pod exposes."""
        yield TRANSACTIONS, {}, float(self.transactions)
        yield ERRORS, {}, float(self.errors)
        for (text, _), count in zip(LATENCY_BUCKETS, self.within, strict=True):
            yield f"{DURATION}_bucket", {"le": text}, float(count)
        yield f"{DURATION}_bucket", {"le": "+Inf"}, float(self.transactions)
        yield f"{DURATION}_sum", {}, self.duration_sum_seconds
        yield f"{DURATION}_count", {}, float(self.transactions)


class PodMetrics:
    """The counters of all simulated pods, by pod UID. They live until the pod's container is restarted."""

    def __init__(self, pods: PodDirectory, seed: int = 0) -> None:
        self._seed = seed
        self._counters: dict[str, PodCounters] = {}
        self._restarts: dict[str, int] = {}
        pods.on_change(self._on_change)

    def of(self, pod: PodFacts) -> PodCounters:
        """The pod's counters, at zero when it is new. The name, not the random UID, seeds them."""
        if pod.uid not in self._counters:
            self._counters[pod.uid] = PodCounters.seeded(f"{self._seed}/{pod.name}")
        return self._counters[pod.uid]

    def _on_change(self, pod: PodFacts, exists: bool) -> None:
        if not exists or self._restarts.get(pod.uid, pod.restarts) != pod.restarts:
            self._counters.pop(pod.uid, None)
        if exists:
            self._restarts[pod.uid] = pod.restarts
        else:
            self._restarts.pop(pod.uid, None)
