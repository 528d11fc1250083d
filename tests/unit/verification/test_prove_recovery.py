"""The recovery proof over virtual time, on a Prometheus whose answers are written down here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.clients.prometheus import Prometheus, PrometheusUnavailable, QueryRejected, Sample, Series
from responder.rules.conditions import parse_condition
from responder.rules.model import Metric, Unit
from responder.verdicts import Result, Verdict
from responder.verification.prove_recovery import RecoveryClaim, RecoveryProof, prove_recovery
from tests.shared import run_story
from tests.unit.verification.cluster import SteppedClock

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
HEALTHY_UNTIL = START - timedelta(minutes=10)

METRICS = {
    "error_rate": Metric(
        name="error_rate",
        unit=Unit.RATIO,
        range=timedelta(minutes=5),
        query="value{$selector}[$range]",
        samples="samples{$selector}[$range]",
        bad_samples=None,
        quantile=None,
        onset_range=timedelta(minutes=1),
    ),
    "latency_p95": Metric(
        name="latency_p95",
        unit=Unit.SECONDS,
        range=timedelta(minutes=5),
        query="value{$selector}[$range] at $quantile",
        samples="samples{$selector}[$range]",
        bad_samples=None,
        quantile=0.95,
        onset_range=timedelta(minutes=1),
    ),
}

# Seconds since the traffic proof, range in seconds, quantile -> value.
Answer = Callable[[float, float, float], float | None]


class ScriptedPrometheus(Prometheus):
    """Answers by a function of time, and remembers how far back each query looked."""

    def __init__(self, value: Answer, samples: Answer) -> None:
        self._answers = {"value": value, "samples": samples}
        self.looked_back_to: list[float] = []
        self.history: list[tuple[datetime, datetime, str]] = []
        self.past: float | None = 0.001
        self.past_series = 1

    async def query_scalar(self, promql: str, *, at: datetime | None = None) -> float | None:
        assert at is not None
        kind, range_seconds, quantile = _parse(promql)
        seconds = (at - START).total_seconds()
        self.looked_back_to.append(seconds - range_seconds)
        return self._answers[kind](seconds, range_seconds, quantile)

    async def query_range(
        self, promql: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[Series]:
        self.history.append((start, end, promql))
        if self.past is None:
            return []
        value = 100_000.0 if promql.startswith("samples") else self.past
        return [Series({}, (Sample({}, value, start), Sample({}, value / 2, end)))] * self.past_series


def _parse(promql: str) -> tuple[str, float, float]:
    match = re.fullmatch(r'(\w+)\{namespace="payments"\}\[(?:(\d+)m)?(?:(\d+)s)?\](?: at (.+))?', promql)
    assert match is not None, promql
    return match[1], int(match[2] or 0) * 60 + int(match[3] or 0), float(match[4] or 0)


def play(
    value: Answer,
    samples: Answer = lambda *_: 10_000.0,
    *,
    condition: str = "error_rate > 1%",
    within_seconds: float = 540,
    began_seconds: float = 0,
    set_by: timedelta = timedelta(),
    prepare: Callable[[ScriptedPrometheus], Any] = lambda _: None,
    **claim: Any,
) -> tuple[RecoveryProof, ScriptedPrometheus, list[tuple[Verdict, ...]]]:
    """Prove recovery; times count from the traffic proof. Soon after it the wall clock is set by `set_by`."""
    prometheus = ScriptedPrometheus(value, samples)
    prepare(prometheus)
    reports: list[tuple[Verdict, ...]] = []
    fields: dict[str, Any] = {
        "condition": parse_condition(condition, METRICS),
        "metrics": METRICS,
        "selector": {"namespace": "payments"},
        "good_windows": 3,
        "traffic_proven_at": START,
        "healthy_until": HEALTHY_UNTIL,
    }

    async def story() -> RecoveryProof:
        clock = SteppedClock(START)
        await clock.sleep(began_seconds)
        asyncio.get_running_loop().call_later(20, setattr, clock, "set_by", set_by)
        return await prove_recovery(
            prometheus,
            clock,
            RecoveryClaim(**(fields | claim)),
            within=timedelta(seconds=within_seconds),
            report=reports.append,
        )

    return run_story(story()), prometheus, reports


def recovered_seconds(proof: RecoveryProof) -> float:
    assert proof.recovered_at is not None
    return (proof.recovered_at - START).total_seconds()


def test_recovered_after_three_good_windows_on_fresh_samples() -> None:
    """Each has a minute of its own: three looks at one and the same minute are one."""
    proof, prometheus, reports = play(lambda *_: 0.001)
    assert (proof.result, proof.reason) == (Result.PASSED, "Recovered")
    assert recovered_seconds(proof) == pytest.approx(180)
    assert len(reports) == 25
    assert min(prometheus.looked_back_to) >= 0


def test_nothing_is_judged_on_samples_from_before_the_traffic_proof() -> None:
    """However it looks over a longer range: the old errors are still in there."""

    def value(seconds: float, range_seconds: float, _: float) -> float:
        return 0.3 if seconds - range_seconds < 0 else 0.0

    proof, _, _ = play(value)
    assert proof.result is Result.PASSED


@pytest.mark.parametrize("set_by", [timedelta(minutes=20), timedelta(minutes=-20)])
def test_a_wall_clock_that_is_set_makes_the_wait_neither_shorter_nor_longer(set_by: timedelta) -> None:
    proof, prometheus, _ = play(lambda *_: 0.001, set_by=set_by)
    assert proof.result is Result.PASSED
    assert recovered_seconds(proof) - set_by.total_seconds() == pytest.approx(180)
    assert min(prometheus.looked_back_to) - set_by.total_seconds() >= 0


def test_readings_must_be_good_in_a_row() -> None:
    """One that is not good begins it anew, also between two windows that would count."""
    proof, _, _ = play(lambda seconds, *_: 0.02 if 65 <= seconds < 75 else 0.001)
    assert recovered_seconds(proof) == pytest.approx(75 + 120)


def test_windows_that_are_too_few_in_the_time_given_prove_nothing() -> None:
    proof, _, _ = play(lambda *_: 0.001, within_seconds=175)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")
    assert "only 2 windows in a row" in proof.message
    assert "3 are needed, 1m apart" in proof.message


def test_a_service_that_recovers_late_is_waited_for() -> None:
    proof, _, _ = play(lambda seconds, *_: 0.05 if seconds < 400 else 0.0)
    assert proof.result is Result.PASSED
    assert recovered_seconds(proof) == pytest.approx(520)


def test_after_a_restart_the_windows_that_have_passed_are_read_at_once() -> None:
    """Nobody looked for five minutes, and there is little time left; the windows are as far apart as ever."""
    proof, prometheus, reports = play(lambda *_: 0.001, began_seconds=300, within_seconds=310)
    assert recovered_seconds(proof) == pytest.approx(300)
    assert len(reports) == 3
    assert min(prometheus.looked_back_to) == pytest.approx(0)
    assert max(prometheus.looked_back_to) == pytest.approx(0)
    # One of them was not good: what came after it is too little.
    proof, _, _ = play(
        lambda seconds, *_: 0.05 if seconds < 200 else 0.001, began_seconds=300, within_seconds=350
    )
    assert (proof.result, proof.reason) == (Result.FAILED, "NotRecovered")
    # No more than there are since the proof.
    proof, prometheus, _ = play(lambda *_: 0.001, began_seconds=130)
    assert recovered_seconds(proof) == pytest.approx(190)
    assert min(prometheus.looked_back_to) >= 0


def test_still_bad_at_the_end_is_not_recovered() -> None:
    proof, _, _ = play(lambda *_: 0.05)
    assert (proof.result, proof.reason) == (Result.FAILED, "NotRecovered")
    assert "error_rate is 5%" in proof.message


def test_below_the_bound_but_worse_than_normal_is_not_recovered() -> None:
    proof, _, _ = play(lambda *_: 0.008)
    assert (proof.result, proof.reason) == (Result.FAILED, "NotRecovered")
    assert [verdict.reason for verdict in proof.verdicts] == ["ConditionFalse", "WorseThanBaseline"]


@pytest.mark.parametrize(
    ("value", "samples", "reason"),
    [
        (None, 10_000.0, "NoData"),
        (None, None, "NoData"),
        (float("nan"), 0.0, "NotANumber"),
        (0.0, 12.0, "TooFewSamples"),
    ],
)
def test_no_data_is_never_recovered(value: float | None, samples: float | None, reason: str) -> None:
    proof, _, _ = play(lambda *_: value, lambda *_: samples)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")
    assert proof.verdicts[0].reason == reason


def test_samples_that_add_up_with_time_are_waited_for() -> None:
    proof, _, _ = play(lambda *_: 0.0, lambda _, range_seconds, __: range_seconds * 2)
    assert proof.result is Result.PASSED
    assert recovered_seconds(proof) == pytest.approx(150 + 120)


def test_data_that_stops_after_two_good_readings_is_unknown() -> None:
    proof, _, _ = play(lambda seconds, *_: 0.0 if seconds < 70 else None)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")


def test_good_too_late_counts_as_what_came_before() -> None:
    proof, _, _ = play(lambda seconds, *_: 0.0 if seconds > 530 else 0.05)
    assert (proof.result, proof.reason) == (Result.FAILED, "NotRecovered")
    proof, _, _ = play(lambda seconds, *_: 0.0 if seconds > 530 else None)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")


def test_a_prometheus_that_does_not_answer_is_asked_again() -> None:
    def value(seconds: float, *_: float) -> float:
        if seconds < 300:
            raise PrometheusUnavailable("Prometheus gives no answer: connection refused")
        return 0.0

    proof, _, reports = play(value)
    assert proof.result is Result.PASSED
    assert reports[0][0].reason == "PrometheusUnavailable"
    proof, _, _ = play(value, within_seconds=200)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")
    assert "connection refused" in proof.message


def test_a_query_that_is_rejected_ends_it_at_once() -> None:
    def value(*_: float) -> float:
        raise QueryRejected("Prometheus rejects the query: correct the rule")

    proof, prometheus, _ = play(value)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")
    assert "correct the rule" in proof.message
    assert len(set(prometheus.looked_back_to)) == 1  # the queries of one reading


def test_the_history_is_the_hour_before_the_bad_revision_and_is_asked_once() -> None:
    _, prometheus, _ = play(lambda *_: 0.001)
    spans = {(start, end) for start, end, _ in prometheus.history}
    assert spans == {(HEALTHY_UNTIL - timedelta(minutes=55), HEALTHY_UNTIL)}
    assert len(prometheus.history) == 2


def test_the_history_begins_with_the_target() -> None:
    began = HEALTHY_UNTIL - timedelta(minutes=20)
    _, prometheus, _ = play(lambda *_: 0.001, healthy_from=began)
    assert prometheus.history[0][0] == began + timedelta(minutes=5)


@pytest.mark.parametrize(
    "claim", [{"healthy_until": None}, {"healthy_from": HEALTHY_UNTIL - timedelta(minutes=4)}]
)
def test_without_a_history_the_rules_bound_decides_and_it_says_so(claim: dict[str, Any]) -> None:
    proof, prometheus, _ = play(lambda *_: 0.008, **claim)
    assert proof.result is Result.PASSED
    assert prometheus.history == []
    assert proof.verdicts[1].reason == "NoHistory"


def test_a_history_that_prometheus_no_longer_holds_is_no_history() -> None:
    proof, _, _ = play(lambda *_: 0.008, prepare=lambda prometheus: setattr(prometheus, "past", None))
    assert proof.verdicts[1].reason == "NoHistory"


def test_a_history_of_several_series_is_a_rule_to_correct() -> None:
    proof, _, _ = play(lambda *_: 0.0, prepare=lambda prometheus: setattr(prometheus, "past_series", 2))
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")
    assert "aggregate" in proof.message


@pytest.mark.parametrize(("lower_neighbour", "expected"), [(0.49, Result.PASSED), (0.52, Result.FAILED)])
def test_a_quantile_is_asked_for_at_its_lower_bound(lower_neighbour: float, expected: Result) -> None:
    def value(_: float, __: float, quantile: float) -> float:
        if quantile == 0.95:
            return 0.6
        assert quantile == pytest.approx(0.95 - 1.645 * (0.95 * 0.05 / 10_000) ** 0.5)
        return lower_neighbour

    proof, _, _ = play(
        value, condition="latency_p95 > 3s", prepare=lambda prometheus: setattr(prometheus, "past", 0.5)
    )
    assert proof.result is expected


def test_after_the_time_is_up_nothing_is_claimed() -> None:
    proof, _, _ = play(lambda *_: 0.0, began_seconds=600)
    assert (proof.result, proof.reason) == (Result.UNKNOWN, "RecoveryUnknown")


def test_the_slowest_metric_says_when_reading_begins() -> None:
    slow = replace(METRICS["latency_p95"], onset_range=timedelta(minutes=3))
    proof, prometheus, _ = play(
        lambda *_: 0.0,
        condition="error_rate > 1% OR latency_p95 > 3s",
        metrics=METRICS | {"latency_p95": slow},
        within_seconds=600,
    )
    assert recovered_seconds(proof) == pytest.approx(540)
    assert min(prometheus.looked_back_to) >= 0
