"""The recovery proof: asks Prometheus again and again until the metric is proven good, or time is up.

Waits and reads, writes nothing; what a reading means is for recovery.py. Called by the pipeline once the
traffic proof has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.clients.measure import measure, measure_history, measure_quantile
from responder.clients.prometheus import Prometheus, PrometheusUnavailable, QueryRejected
from responder.clock import Clock
from responder.rules.conditions import Comparison, Condition, comparisons
from responder.rules.measurement import Measurement
from responder.rules.model import Metric
from responder.rules.quantities import format_duration
from responder.verdicts import Result, Verdict, overall, unknown
from responder.verification.recovery import (
    Reading,
    assess_recovery,
    has_sampling_error,
    ratio_at_best,
    window_after,
    worst_window,
)
from responder.verification.sampling import quantile_bounds

Report = Callable[[tuple[Verdict, ...]], None]

_POLL_SECONDS = 5.0
# "The last healthy hour", and how densely its windows are looked at.
_HEALTHY_HOUR = timedelta(hours=1)
_HISTORY_STEP = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class RecoveryClaim:
    """The incident's conditions are false again since `traffic_proven_at`, as false as they were before.

    `healthy_until` is when the bad revision began to serve, None where nobody knows; `healthy_from` when the
    target last began before that, where that is known. Only what lies between counts as history.
    """

    condition: Condition
    metrics: Mapping[str, Metric]
    selector: Mapping[str, str]
    good_windows: int
    traffic_proven_at: datetime
    healthy_until: datetime | None
    healthy_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecoveryProof:
    """What came of it, with the verdicts of the last reading."""

    result: Result
    reason: str
    message: str
    verdicts: tuple[Verdict, ...]
    recovered_at: datetime | None = None


async def prove_recovery(
    prometheus: Prometheus,
    clock: Clock,
    claim: RecoveryClaim,
    *,
    within: timedelta,
    report: Report | None = None,
) -> RecoveryProof:
    """Wait, until `within` after the traffic proof, for as many good windows in a row as the claim asks for.

    A window counts as another one once it ends an onset range after the last that counted, so that each has
    that much of its own; every reading in between has to be good as well.
    Passed/Recovered; Failed/NotRecovered when at the end the condition is still true, or a value worse than
    its baseline; Unknown/RecoveryUnknown when it can't be measured. `report` gets each reading's verdicts.
    """
    prover = _Prover(prometheus, clock, claim, report)
    try:
        async with asyncio.timeout((within - prover.elapsed()).total_seconds()) as limit:
            return await prover.prove()
    except TimeoutError:
        if not limit.expired():
            raise
        return prover.conclude()
    except QueryRejected as error:
        return RecoveryProof(Result.UNKNOWN, "RecoveryUnknown", str(error), prover.verdicts)


class _Prover:
    """The state of one proof."""

    def __init__(
        self, prometheus: Prometheus, clock: Clock, claim: RecoveryClaim, report: Report | None
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock
        self._claim = claim
        self._report = report
        self._loop = asyncio.get_running_loop()
        # What passes from here on is measured on the loop's clock, which nobody sets forward.
        self._began = self._loop.time()
        self._elapsed_before = max(timedelta(), clock.now() - claim.traffic_proven_at)
        self._history: dict[str, tuple[Measurement, ...]] = {}
        self._good = 0
        self._counted_at: timedelta | None = None  # the last good reading that counted, since the proof
        self._last_not_good = Result.UNKNOWN
        self.verdicts: tuple[Verdict, ...] = ()

    def elapsed(self) -> timedelta:
        """Since the traffic proof."""
        return self._elapsed_before + timedelta(seconds=self._loop.time() - self._began)

    async def prove(self) -> RecoveryProof:
        """Read until it is proven; the caller limits the time."""
        first_after = self._shortest_window()
        while (early := first_after - self.elapsed()) > timedelta():
            await self._clock.sleep(early.total_seconds())
        for back in self._missed():
            await self._read(back)
        while True:
            await self._read()
            if self._good >= self._claim.good_windows:
                message = f"{self.verdicts[0].message} That was so in {self._good} windows in a row."
                now = self._clock.now()
                return RecoveryProof(Result.PASSED, "Recovered", message, self.verdicts, now)
            await self._clock.sleep(_POLL_SECONDS)

    def conclude(self) -> RecoveryProof:
        """The result when time is up: from the last reading, or what the good ones had to make up for."""
        if not self.verdicts:
            message = "The time for recovery was over before anything could be measured."
            return RecoveryProof(Result.UNKNOWN, "RecoveryUnknown", message, ())
        open_ones = [verdict.message for verdict in self.verdicts if not verdict.passed]
        message = " ".join(open_ones) or (
            f"It was good in only {self._good} windows in a row when time was up;"
            f" {self._claim.good_windows} are needed, {format_duration(self._shortest_window())} apart."
        )
        result = overall(self.verdicts)
        if result is Result.PASSED:
            result = self._last_not_good
        reason = "NotRecovered" if result is Result.FAILED else "RecoveryUnknown"
        return RecoveryProof(result, reason, message, self.verdicts)

    def _shortest_window(self) -> timedelta:
        """What the first window has to last, and each later one has to add, by the slowest metric."""
        used = [self._claim.metrics[leaf.metric] for leaf in comparisons(self._claim.condition)]
        return max(metric.onset_range for metric in used)

    def _missed(self) -> list[timedelta]:
        """How far back the windows lie that could have been read already, had a restart not come between."""
        step = self._shortest_window()
        past = min(self._claim.good_windows, self.elapsed() // step) - 1
        return [n * step for n in range(past, 0, -1)]

    async def _read(self, back: timedelta = timedelta()) -> None:
        """Measure and judge once: what is so now, or was so that long ago."""
        condition = self._claim.condition
        try:
            leaves = dict.fromkeys(comparisons(condition))
            readings = {leaf: await self._measure(leaf, back) for leaf in leaves}
        except PrometheusUnavailable as error:
            self.verdicts = (unknown("ConditionFalse", "PrometheusUnavailable", str(error)),)
        else:
            self.verdicts = assess_recovery(condition, readings)
        result = overall(self.verdicts)
        if result is Result.PASSED:
            self._count(self.elapsed() - back)
        else:
            self._good, self._counted_at, self._last_not_good = 0, None, result
        if self._report is not None:
            self._report(self.verdicts)

    def _count(self, end: timedelta) -> None:
        """Count a good window that ended then after the proof, unless it is nearly the one counted last."""
        if self._counted_at is None or end - self._counted_at >= self._shortest_window():
            self._good, self._counted_at = self._good + 1, end

    async def _measure(self, leaf: Comparison, back: timedelta) -> Reading:
        """One comparison's metric, on samples from after the traffic proof only."""
        metric, now = self._claim.metrics[leaf.metric], self._clock.now() - back
        window = window_after(self.elapsed() - back, metric)
        found = await measure(
            self._prometheus, metric, self._claim.selector, at=now, range=window, threshold=leaf.threshold
        )
        if not has_sampling_error(metric):
            return Reading(metric, found, None, None)
        baseline = worst_window(leaf, metric, await self._fetch_history(leaf, metric))
        at_best = None if baseline is None else await self._fetch_at_best(leaf, metric, found)
        return Reading(metric, found, at_best, baseline)

    async def _fetch_at_best(self, leaf: Comparison, metric: Metric, found: Measurement) -> float | None:
        """The best value that the measured one may stand for."""
        if metric.quantile is None:
            return ratio_at_best(leaf, found)
        if not found.samples:
            return None
        lowest, highest = quantile_bounds(metric.quantile, found.samples)
        return await measure_quantile(
            self._prometheus,
            metric,
            self._claim.selector,
            at=found.at,
            range=found.range,
            threshold=leaf.threshold,
            quantile=lowest if leaf.worse_is_higher else highest,
        )

    async def _fetch_history(self, leaf: Comparison, metric: Metric) -> tuple[Measurement, ...]:
        """The metric's windows in the target's last healthy hour; fetched once, as it does not change."""
        until = self._claim.healthy_until
        if until is None:
            return ()
        # The windows look back by the range, and must not reach behind the hour or the target's beginning.
        start = max(until - _HEALTHY_HOUR, self._claim.healthy_from or until - _HEALTHY_HOUR) + metric.range
        if start > until:
            return ()
        if leaf.text not in self._history:
            self._history[leaf.text] = await measure_history(
                self._prometheus,
                metric,
                self._claim.selector,
                start=start,
                end=until,
                step=_HISTORY_STEP,
                threshold=leaf.threshold,
            )
        return self._history[leaf.text]
