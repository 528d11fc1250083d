"""Functions over instant vectors, histogram_quantile and label_replace among them. Pure.

Source: Prometheus 2.42 promql/functions.go, promql/quantile.go.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from responder.sandbox.prometheus.labels import METRIC_NAME, Labels, drop, drop_name, label_value, labels_of
from responder.sandbox.prometheus.promql.arithmetic import divide
from responder.sandbox.prometheus.promql.values import ExecutionError, Sample, Vector, unique


def map_values(vector: Vector, compute: Callable[[float], float]) -> Vector:
    """Each value mapped, the metric's name dropped."""
    return unique(Sample(drop_name(sample.labels), compute(sample.value)) for sample in vector)


def clamp(vector: Vector, low: float, high: float) -> Vector:
    """Values limited to the interval; an empty interval gives nothing, a NaN bound gives NaN."""
    if math.isnan(low) or math.isnan(high):
        return map_values(vector, lambda _: math.nan)
    if high < low:
        return []
    return map_values(vector, lambda value: value if math.isnan(value) else max(low, min(high, value)))


def rounding(compute: Callable[[float], int]) -> Callable[[float], float]:
    """A rounding function that leaves NaN and infinities as they are."""
    return lambda value: float(compute(value)) if math.isfinite(value) else value


def scalar_of(vector: Vector) -> float:
    """The only element's value, NaN when there is none or more than one."""
    return vector[0].value if len(vector) == 1 else math.nan


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Set the target label from the source label where the anchored pattern matches."""
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise ExecutionError(f"invalid regular expression in label_replace(): {pattern}") from error
    if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", target):
        raise ExecutionError(f"invalid destination label name in label_replace(): {target}")
    samples = []
    for sample in vector:
        found = regex.fullmatch(label_value(sample.labels, source))
        if found is not None:
            value = _expand(replacement, found)
            sample = Sample(labels_of({**dict(sample.labels), target: value}), sample.value)
        samples.append(sample)
    return unique(samples)


def _expand(template: str, found: re.Match[str]) -> str:
    """Go's expansion of $1 and ${name}: an unknown group is empty."""

    def group(reference: re.Match[str]) -> str:
        if reference[0] == "$$":
            return "$"
        key = reference[1] or reference[2]
        if key.isdigit():
            return (found[int(key)] or "") if int(key) <= found.re.groups else ""
        return found.groupdict().get(key) or ""

    return re.sub(r"\$\$|\$(\w+)|\$\{(\w+)\}", group, template)


def histogram_quantile(quantile: float, vector: Vector) -> Vector:
    """The quantile of each classic histogram in the vector, interpolated within its bucket."""
    histograms: dict[Labels, list[tuple[float, float]]] = {}
    for sample in vector:
        bound = _bound(label_value(sample.labels, "le"))
        if bound is not None:
            key = drop(sample.labels, ("le", METRIC_NAME))
            histograms.setdefault(key, []).append((bound, sample.value))
    return [Sample(labels, bucket_quantile(quantile, buckets)) for labels, buckets in histograms.items()]


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def bucket_quantile(quantile: float, buckets: list[tuple[float, float]]) -> float:
    """The quantile of (upper bound, cumulative count) pairs; NaN without observations or without +Inf."""
    if math.isnan(quantile):
        return math.nan
    if not 0 <= quantile <= 1:
        return math.copysign(math.inf, quantile)
    ranked = _monotonic(buckets)
    if len(ranked) < 2 or ranked[-1][0] != math.inf or ranked[-1][1] == 0 or math.isnan(ranked[-1][1]):
        return math.nan
    rank = quantile * ranked[-1][1]
    index = next((i for i, (_, count) in enumerate(ranked[:-1]) if count >= rank), len(ranked) - 1)
    upper, count = ranked[index]
    if index == len(ranked) - 1:
        return ranked[-2][0]
    if index == 0:
        return upper if upper <= 0 else upper * divide(rank, count)
    lower, below = ranked[index - 1]
    return lower + (upper - lower) * divide(rank - below, count - below)


def _monotonic(buckets: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Sorted by bound, equal bounds added up, counts made non-decreasing (scrapes are not atomic)."""
    merged: dict[float, float] = {}
    for bound, count in sorted(buckets):
        merged[bound] = merged.get(bound, 0.0) + count
    highest = -math.inf
    result = []
    for bound, count in merged.items():
        highest = max(highest, count)
        result.append((bound, highest))
    return result
