"""Functions over range vectors: rate and its relatives, and the *_over_time family. Pure.

Source: Prometheus 2.42 promql/functions.go.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from responder.sandbox.prometheus.labels import drop_name
from responder.sandbox.prometheus.promql.values import Matrix, RangeSeries, Sample, Vector, unique

RangeFunction = Callable[[RangeSeries, Matrix], float | None]


def _extrapolated(series: RangeSeries, within: Matrix, *, counter: bool, per_second: bool) -> float | None:
    """The change over the range, extrapolated towards its ends as Prometheus does; None below two samples."""
    times, values = series.times, series.values
    if len(times) < 2:
        return None
    change = values[-1] - values[0]
    if counter:
        change += sum(before for before, after in itertools.pairwise(values) if after < before)
    to_start = (times[0] - within.start_ms) / 1000
    to_end = (within.end_ms - times[-1]) / 1000
    sampled = (times[-1] - times[0]) / 1000
    average_gap = sampled / (len(times) - 1)
    if counter and change > 0 and values[0] >= 0:
        # A counter can't have been below zero: don't extrapolate past the point where it would have been.
        to_start = min(to_start, sampled * (values[0] / change))
    threshold = average_gap * 1.1
    covered = sampled + (to_start if to_start < threshold else average_gap / 2)
    covered += to_end if to_end < threshold else average_gap / 2
    result = change * (covered / sampled)
    return result / ((within.end_ms - within.start_ms) / 1000) if per_second else result


def _irate(series: RangeSeries, _: Matrix) -> float | None:
    if len(series.times) < 2:
        return None
    before, after = series.values[-2:]
    elapsed = (series.times[-1] - series.times[-2]) / 1000
    return (after if after < before else after - before) / elapsed


def _changes(values: list[float]) -> float:
    pairs = itertools.pairwise(values)
    return float(sum(1 for a, b in pairs if a != b and not (math.isnan(a) and math.isnan(b))))


def _resets(values: list[float]) -> float:
    return float(sum(1 for a, b in itertools.pairwise(values) if b < a))


def _extreme(values: list[float], choose: Callable[[list[float]], float]) -> float:
    """The least or greatest of the numbers; NaN only when there is no number at all."""
    numbers = [value for value in values if not math.isnan(value)]
    return choose(numbers) if numbers else math.nan


def _over_time(reduce: Callable[[list[float]], float]) -> RangeFunction:
    return lambda series, _: reduce(series.values) if series.values else None


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    "rate": lambda series, within: _extrapolated(series, within, counter=True, per_second=True),
    "increase": lambda series, within: _extrapolated(series, within, counter=True, per_second=False),
    "delta": lambda series, within: _extrapolated(series, within, counter=False, per_second=False),
    "irate": _irate,
    "changes": _over_time(_changes),
    "resets": _over_time(_resets),
    "max_over_time": _over_time(lambda values: _extreme(values, max)),
    "min_over_time": _over_time(lambda values: _extreme(values, min)),
    "avg_over_time": _over_time(lambda values: math.fsum(values) / len(values)),
    "sum_over_time": _over_time(math.fsum),
    "count_over_time": _over_time(lambda values: float(len(values))),
    "last_over_time": _over_time(lambda values: values[-1]),
    "present_over_time": _over_time(lambda _: 1.0),
}


def apply_range_function(name: str, matrix: Matrix) -> Vector:
    """One sample a series, where the function has a value."""
    compute = RANGE_FUNCTIONS[name]
    samples = []
    for series in matrix.series:
        value = compute(series, matrix)
        if value is not None:
            labels = series.labels if name == "last_over_time" else drop_name(series.labels)
            samples.append(Sample(labels, value))
    return unique(samples)
