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
from responder.tasks import together


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

    async def ask(template: str | None) -> float | None:
        if template is None:
            return None
        query = render(template, selector, range=range, threshold=threshold, quantile=metric.quantile)
        return await prometheus.query_scalar(query, at=at)

    async with together() as group:
        value = group.create_task(ask(metric.query))
        samples = group.create_task(ask(metric.samples))
        bad_samples = group.create_task(ask(_countable(metric, threshold)))
    return Measurement(value.result(), samples.result(), bad_samples.result(), range, at)


def _countable(metric: Metric, threshold: float | None) -> str | None:
    """The query that counts bad samples; None where there is none, or no threshold to tell them by."""
    if metric.bad_samples is None or threshold is not None:
        return metric.bad_samples
    return None if "threshold" in find_placeholders(metric.bad_samples) else metric.bad_samples


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

    async with together() as group:
        values = group.create_task(ask(metric.query))
        samples = group.create_task(ask(metric.samples))
    return tuple(
        Measurement(value, samples.result().get(at), None, metric.range, at)
        for at, value in sorted(values.result().items())
    )
