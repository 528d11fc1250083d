"""A metric with its samples, as asked of Prometheus."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.clients.measure import measure, measure_history, measure_quantile
from responder.clients.prometheus import Prometheus, QueryRejected, Sample, Series
from responder.rules.measurement import Measurement
from responder.rules.model import Metric, Unit

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
SELECTOR = {"namespace": "payments", "deployment": "payment-service"}
LABELS = 'namespace="payments",deployment="payment-service"'

LATENCY = Metric(
    name="latency_p95",
    unit=Unit.SECONDS,
    range=timedelta(minutes=5),
    query="q($quantile, {$selector}[$range])",
    samples="count({$selector}[$range])",
    bad_samples="above({$selector}[$range], $threshold)",
    quantile=0.95,
    onset_range=timedelta(minutes=1),
)


class Answers(Prometheus):
    """Answers queries from a table; what is not in it has no data."""

    def __init__(
        self, scalars: dict[str, float] | None = None, series: list[list[Series]] | None = None
    ) -> None:
        self._scalars = scalars or {}
        self._series = series or []
        self.asked: list[str] = []

    async def query_scalar(self, promql: str, *, at: datetime | None = None) -> float | None:
        assert at == AT
        self.asked.append(promql)
        return self._scalars.get(promql)

    async def query_range(
        self, promql: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[Series]:
        self.asked.append(promql)
        return self._series.pop(0)


async def test_value_samples_and_bad_samples_over_the_range_asked_for() -> None:
    prometheus = Answers(
        {
            f"q(0.95, {{{LABELS}}}[2m])": 3.5,
            f"count({{{LABELS}}}[2m])": 900,
            f"above({{{LABELS}}}[2m], 3)": 80,
        }
    )
    two_minutes = timedelta(minutes=2)
    found = await measure(prometheus, LATENCY, SELECTOR, at=AT, range=two_minutes, threshold=3.0)
    assert found == Measurement(3.5, 900, 80, two_minutes, AT)


async def test_what_has_no_data_is_none_and_never_zero() -> None:
    found = await measure(Answers(), LATENCY, SELECTOR, at=AT, range=LATENCY.range, threshold=3.0)
    assert found == Measurement(None, None, None, LATENCY.range, AT)
    assert not found.measured
    assert not found.rests_on(0)


async def test_without_a_threshold_what_needs_one_stays_uncounted() -> None:
    prometheus = Answers()
    await measure(prometheus, LATENCY, SELECTOR, at=AT, range=LATENCY.range, threshold=None)
    assert not any("above" in query for query in prometheus.asked)
    errors = replace(LATENCY, bad_samples="errors({$selector}[$range])")
    await measure(prometheus, errors, SELECTOR, at=AT, range=LATENCY.range, threshold=None)
    assert f"errors({{{LABELS}}}[5m])" in prometheus.asked


async def test_another_quantile() -> None:
    prometheus = Answers({f"q(0.93, {{{LABELS}}}[5m])": 0.4})
    found = await measure_quantile(
        prometheus, LATENCY, SELECTOR, at=AT, range=LATENCY.range, threshold=3.0, quantile=0.93
    )
    assert found == 0.4


async def history(prometheus: Prometheus) -> tuple[Measurement, ...]:
    hour = timedelta(hours=1)
    step = timedelta(seconds=30)
    return await measure_history(
        prometheus, LATENCY, SELECTOR, start=AT - hour, end=AT, step=step, threshold=3.0
    )


async def test_history_joins_values_and_samples_by_their_instant() -> None:
    earlier = AT - timedelta(minutes=1)
    values = Series({}, (Sample({}, 0.5, earlier), Sample({}, 0.6, AT)))
    samples = Series({}, (Sample({}, 900, AT),))
    assert await history(Answers(series=[[values], [samples]])) == (
        Measurement(0.5, None, None, LATENCY.range, earlier),
        Measurement(0.6, 900, None, LATENCY.range, AT),
    )


async def test_history_without_data_is_empty() -> None:
    assert await history(Answers(series=[[], []])) == ()


async def test_history_of_several_series_is_refused() -> None:
    series = [Series({"pod": "a"}, ()), Series({"pod": "b"}, ())]
    with pytest.raises(QueryRejected, match="2 series where one value is needed"):
        await history(Answers(series=[series]))


def test_not_a_number_is_not_measured() -> None:
    assert not Measurement(float("nan"), 0, None, LATENCY.range, AT).measured
