"""In-memory series with bounded retention, staleness markers and the five minute lookback.

Written by the scraper and the rule evaluation, read by PromQL. Times are integer milliseconds since the
epoch, as in Prometheus, so that extrapolation agrees to the last digit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from responder.sandbox.prometheus.labels import METRIC_NAME, Labels, Matcher, MatchOp, label_value, match_all

LOOKBACK_MS = 5 * 60 * 1000
"""How long a sample stands for "now". Source: Prometheus 2.42 cmd/prometheus --query.lookback-delta."""

TRIM_SAMPLES = 256
"""Old samples are cut off in batches of at least so many, so that appending stays cheap."""


class SeriesLimitError(Exception):
    """The database holds as many series as it may."""


@dataclass(slots=True)
class Series:
    """One series; `values` holds None where a staleness marker stands."""

    labels: Labels
    times: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)

    def at(self, time_ms: int) -> tuple[int, float] | None:
        """The newest sample at or before the instant, unless it is stale or older than the lookback."""
        index = bisect_right(self.times, time_ms) - 1
        if index < 0 or self.times[index] < time_ms - LOOKBACK_MS:
            return None
        value = self.values[index]
        return None if value is None else (self.times[index], value)

    def between(self, start_ms: int, end_ms: int) -> tuple[list[int], list[float]]:
        """The samples of the closed interval, without staleness markers."""
        low, high = bisect_left(self.times, start_ms), bisect_right(self.times, end_ms)
        times, values = self.times[low:high], self.values[low:high]
        if None in values:
            times = [time for time, value in zip(times, values, strict=True) if value is not None]
        return times, [value for value in values if value is not None]


class Tsdb:
    """All series, indexed by metric name."""

    def __init__(self, *, retention: timedelta = timedelta(hours=6), max_series: int = 20_000) -> None:
        self._retention_ms = int(retention.total_seconds() * 1000)
        self._max_series = max_series
        self._series: dict[Labels, Series] = {}
        self._by_name: dict[str, dict[Labels, Series]] = {}

    def append(self, labels: Labels, time_ms: int, value: float) -> None:
        """Store a sample; one that is not newer than the series' last is dropped, as Prometheus drops it.

        Raises SeriesLimitError when a new series would be one too many.
        """
        self._append(labels, time_ms, value)

    def mark_stale(self, labels: Labels, time_ms: int) -> None:
        """End the series at this instant: instant queries no longer find it. Unknown series are ignored."""
        if labels in self._series:
            self._append(labels, time_ms, None)

    def select(self, name: str, matchers: Iterable[Matcher]) -> Iterator[Series]:
        """The series of the name ("" for any) that satisfy every matcher, in order of their first sample."""
        conditions = list(matchers)
        named = (m.value for m in conditions if m.name == METRIC_NAME and m.op is MatchOp.EQUAL)
        wanted = name or next(named, "")
        candidates = self._by_name.get(wanted, {}) if wanted else self._series
        return (one for one in list(candidates.values()) if match_all(conditions, one.labels))

    def names(self) -> list[str]:
        """The names of all metrics that have series, sorted."""
        return sorted(name for name, series in self._by_name.items() if name and series)

    def clear(self) -> None:
        """Forget everything, as a restart without a disk does."""
        self._series.clear()
        self._by_name.clear()

    def expire(self, now_ms: int) -> None:
        """Drop series whose newest sample is older than the retention."""
        limit = now_ms - self._retention_ms
        for labels in [labels for labels, series in self._series.items() if series.times[-1] < limit]:
            del self._series[labels]
            del self._by_name[label_value(labels, METRIC_NAME)][labels]

    def __len__(self) -> int:
        return len(self._series)

    def _append(self, labels: Labels, time_ms: int, value: float | None) -> None:
        series = self._series.get(labels) or self._open(labels)
        if series.times and series.times[-1] >= time_ms:
            return
        series.times.append(time_ms)
        series.values.append(value)
        old = bisect_left(series.times, time_ms - self._retention_ms)
        if old >= TRIM_SAMPLES:
            del series.times[:old], series.values[:old]

    def _open(self, labels: Labels) -> Series:
        if len(self._series) >= self._max_series:
            raise SeriesLimitError(
                f"the built-in Prometheus holds its limit of {self._max_series} series; scrape fewer pods"
            )
        series = self._series[labels] = Series(labels)
        self._by_name.setdefault(label_value(labels, METRIC_NAME), {})[labels] = series
        return series
