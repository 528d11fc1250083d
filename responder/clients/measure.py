"""Asking Prometheus for a rule's metric, with the samples it rests on. Judges nothing.

Called by the pipeline (is it still true, when did it begin) and by the recovery proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from responder.clients.prometheus import Prometheus, QueryRejected
from responder.rules.measurement import Measurement
from responder.rules.model import Metric
from responder.rules.promql import find_placeholders, render


async def measure(
    prometheus: Prometheus,
    metric: Metric,
    selector: Mapping[str, str],
    *,
    at: datetime,
    range: timedelta,
    threshold: float | None,
) -> Measurement:
    """Fetch the metric's value and sample counts over the `range` that ends at `at`.

    `threshold` is what counts as bad, in the metric's unit; without it, samples that are bad only against a
    threshold stay uncounted. Raises PrometheusUnavailable, QueryRejected.
    """

    async def ask(template: str) -> float | None:
        query = render(template, selector, range=range, threshold=threshold, quantile=metric.quantile)
        return await prometheus.query_scalar(query, at=at)

    countable = metric.bad_samples is not None and (
        threshold is not None or "threshold" not in find_placeholders(metric.bad_samples)
    )
    return Measurement(
        value=await ask(metric.query),
        samples=await ask(metric.samples),
        bad_samples=await ask(metric.bad_samples) if metric.bad_samples and countable else None,
        range=range,
        at=at,
    )


async def measure_quantile(
    prometheus: Prometheus,
    metric: Metric,
    selector: Mapping[str, str],
    *,
    at: datetime,
    range: timedelta,
    threshold: float | None,
    quantile: float,
) -> float | None:
    """Fetch the metric's value at another quantile than its own (0 to 1). Raises as `measure` does."""
    query = render(metric.query, selector, range=range, threshold=threshold, quantile=quantile)
    return await prometheus.query_scalar(query, at=at)


async def measure_history(
    prometheus: Prometheus,
    metric: Metric,
    selector: Mapping[str, str],
    *,
    start: datetime,
    end: datetime,
    step: timedelta,
    threshold: float | None,
) -> tuple[Measurement, ...]:
    """Fetch the metric and its sample count over its own range at each step from start to end, oldest first.

    Bad samples are not counted. Raises PrometheusUnavailable, QueryRejected.
    """

    async def ask(template: str) -> dict[datetime, float]:
        query = render(template, selector, range=metric.range, threshold=threshold, quantile=metric.quantile)
        series = await prometheus.query_range(query, start=start, end=end, step=step)
        if len(series) > 1:
            raise QueryRejected(
                f"the query {query!r} yields {len(series)} series where one value is needed;"
                " aggregate it, for example with sum(...)"
            )
        return {sample.at: sample.value for found in series for sample in found.samples}

    values, samples = await ask(metric.query), await ask(metric.samples)
    return tuple(
        Measurement(value, samples.get(at), None, metric.range, at) for at, value in sorted(values.items())
    )
