"""What counts as recovered, given what was measured; no data never does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.rules.conditions import AnyOf, Comparison, Condition, comparisons, parse_condition
from responder.rules.measurement import Measurement
from responder.rules.model import Metric, Unit
from responder.verdicts import Result, overall
from responder.verification.recovery import (
    Reading,
    assess_recovery,
    default_recover_within,
    ratio_at_best,
    window_after,
    worst_window,
)
from responder.verification.sampling import wilson_bounds

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
NAN = float("nan")


def metric(name: str = "error_rate", unit: Unit = Unit.RATIO, quantile: float | None = None) -> Metric:
    return Metric(
        name=name,
        unit=unit,
        range=timedelta(minutes=5),
        query="value",
        samples="samples",
        bad_samples=None,
        quantile=quantile,
        onset_range=timedelta(minutes=1),
    )


METRICS = {
    "error_rate": metric(),
    "success": metric("success"),
    "latency_p95": metric("latency_p95", Unit.SECONDS, 0.95),
    "queue": metric("queue", Unit.COUNT),
}


def measured(value: float | None, samples: float | None = 10_000, at: datetime = AT) -> Measurement:
    return Measurement(value, samples, None, timedelta(minutes=5), at)


def reading(
    comparison: Comparison, value: float | None, samples: float | None = 10_000, baseline: float | None = None
) -> Reading:
    found = measured(value, samples)
    return Reading(METRICS[comparison.metric], found, ratio_at_best(comparison, found), baseline)


def assess(text: str, **readings: tuple[float | None, float | None, float | None]) -> dict[str, str]:
    """The reasons by check; readings are (value, samples, baseline) by metric."""
    condition = parse_condition(text, METRICS)
    found = {leaf: reading(leaf, *readings[leaf.metric]) for leaf in comparisons(condition)}
    return {verdict.check: verdict.reason for verdict in assess_recovery(condition, found)}


def result(text: str, **readings: tuple[float | None, float | None, float | None]) -> Result:
    condition = parse_condition(text, METRICS)
    found = {leaf: reading(leaf, *readings[leaf.metric]) for leaf in comparisons(condition)}
    return overall(assess_recovery(condition, found))


@pytest.mark.parametrize(
    ("value", "samples", "baseline", "condition", "against", "expected"),
    [
        (0.001, 10_000.0, 0.001, "ConditionFalse", "AtBaseline", Result.PASSED),
        (0.0, 300.0, 0.0, "ConditionFalse", "AtBaseline", Result.PASSED),
        (0.02, 10_000.0, 0.001, "ConditionTrue", "WorseThanBaseline", Result.FAILED),
        # Below the rule's bound and still eight times what was normal.
        (0.008, 10_000.0, 0.001, "ConditionFalse", "WorseThanBaseline", Result.FAILED),
        # The same few errors in few samples are chance.
        (0.0033, 300.0, 0.001, "ConditionFalse", "AtBaseline", Result.PASSED),
        (0.001, 10_000.0, None, "ConditionFalse", "NoHistory", Result.PASSED),
        (None, None, 0.001, "NoData", "NoData", Result.UNKNOWN),
        (0.0, None, 0.001, "NoData", "NoData", Result.UNKNOWN),
        (None, 10_000.0, 0.001, "NoData", "NoData", Result.UNKNOWN),
        (NAN, 0.0, 0.001, "NotANumber", "NotANumber", Result.UNKNOWN),
        (0.0, 299.0, 0.001, "TooFewSamples", "TooFewSamples", Result.UNKNOWN),
        (1.0, 20.0, 0.001, "TooFewSamples", "TooFewSamples", Result.UNKNOWN),
    ],
)
def test_a_ratio(
    value: float | None,
    samples: float | None,
    baseline: float | None,
    condition: str,
    against: str,
    expected: Result,
) -> None:
    found = assess("error_rate > 1%", error_rate=(value, samples, baseline))
    assert found == {"ConditionFalse": condition, "AtBaseline": against}
    assert result("error_rate > 1%", error_rate=(value, samples, baseline)) is expected


@pytest.mark.parametrize(
    ("value", "reason", "expected"),
    [
        (0.9995, "AtBaseline", Result.PASSED),
        (0.992, "WorseThanBaseline", Result.FAILED),
        (0.98, "WorseThanBaseline", Result.FAILED),
    ],
)
def test_too_little_is_judged_the_other_way_round(value: float, reason: str, expected: Result) -> None:
    readings = {"success": (value, 10_000.0, 0.999)}
    assert assess("success < 99%", **readings)["AtBaseline"] == reason
    assert result("success < 99%", **readings) is expected


def test_a_metric_without_a_known_spread_has_only_the_rules_bound() -> None:
    assert assess("queue > 100", queue=(99.0, 10_000.0, 1.0))["AtBaseline"] == "OnlyRuleBound"
    assert result("queue > 100", queue=(99.0, 10_000.0, 1.0)) is Result.PASSED
    assert result("queue > 100", queue=(101.0, 10_000.0, 1.0)) is Result.FAILED


@pytest.mark.parametrize(
    ("at_best", "reason"),
    [(0.4, "AtBaseline"), (0.6, "WorseThanBaseline"), (None, "NoData"), (NAN, "NoData")],
)
def test_a_quantile_is_judged_by_its_lower_neighbour(at_best: float | None, reason: str) -> None:
    condition = parse_condition("latency_p95 > 3s", METRICS)
    (leaf,) = comparisons(condition)
    found = Reading(METRICS["latency_p95"], measured(0.7), at_best, 0.5)
    assert [verdict.reason for verdict in assess_recovery(condition, {leaf: found})] == [
        "ConditionFalse",
        reason,
    ]


def test_one_unmeasured_part_leaves_an_or_unknown() -> None:
    text = "error_rate > 1% OR latency_p95 > 3s"
    good = (0.0, 10_000.0, None)
    assert result(text, error_rate=good, latency_p95=(None, None, None)) is Result.UNKNOWN
    assert result(text, error_rate=good, latency_p95=(0.5, 10_000.0, None)) is Result.PASSED
    assert result(text, error_rate=(0.5, 10_000.0, None), latency_p95=(None, None, None)) is Result.FAILED


def test_one_unmeasured_part_leaves_an_and_unknown_although_it_is_false() -> None:
    """The alert would be silent; whether the unmeasured metric is as good as it was, nobody knows."""
    readings = {"error_rate": (0.0, 10_000.0, None), "latency_p95": (None, None, None)}
    assert result("error_rate > 1% AND latency_p95 > 3s", **readings) is Result.UNKNOWN


def test_a_comparison_that_two_rules_share_is_held_against_its_baseline_once() -> None:
    shared = parse_condition("error_rate > 1%", METRICS)
    both = AnyOf((shared, parse_condition("error_rate > 1% AND latency_p95 > 3s", METRICS)))
    readings = {leaf: reading(leaf, 0.001) for leaf in comparisons(both)}
    verdicts = assess_recovery(both, readings)
    assert [verdict.check for verdict in verdicts] == ["ConditionFalse", "AtBaseline", "AtBaseline"]


def test_verdicts_say_the_numbers() -> None:
    condition: Condition = parse_condition("error_rate > 1%", METRICS)
    (leaf,) = comparisons(condition)
    verdicts = assess_recovery(condition, {leaf: reading(leaf, 0.008, 10_000, 0.001)})
    assert verdicts[0].message == (
        "error_rate > 1% no longer holds: error_rate is 0.8% over 5m, on 10000 samples."
    )
    assert verdicts[1].evidence == {
        "error_rate": 0.008,
        "error_rate_threshold": 0.01,
        "error_rate_samples": 10_000,
        "error_rate_range": "5m",
        "error_rate_baseline": 0.001,
        "error_rate_at_best": pytest.approx(0.00666, abs=1e-4),
    }


@pytest.mark.parametrize(
    ("elapsed_seconds", "window_seconds"),
    [(60.0, 60.0), (90.7, 90.0), (299.9, 299.0), (300.0, 300.0), (3600.0, 300.0)],
)
def test_the_window_never_reaches_behind_the_proof(elapsed_seconds: float, window_seconds: float) -> None:
    window = window_after(timedelta(seconds=elapsed_seconds), METRICS["error_rate"])
    assert window.total_seconds() == window_seconds


def test_the_worst_window_ignores_what_rests_on_too_little() -> None:
    history = [measured(0.002), measured(0.003), measured(1.0, 2), measured(NAN, 0), measured(None, None)]
    high, low = (
        comparisons(parse_condition(text, METRICS))[0] for text in ("error_rate > 1%", "success < 99%")
    )
    # The worst window itself, at the worst that it may stand for.
    assert worst_window(high, METRICS["error_rate"], history) == wilson_bounds(0.003, 10_000)[1]
    history = [measured(0.998), measured(0.997), measured(0.0, 2)]
    assert worst_window(low, METRICS["success"], history) == wilson_bounds(0.997, 10_000)[0]
    assert worst_window(high, METRICS["error_rate"], [measured(1.0, 2)]) is None


def test_an_outage_is_no_part_of_the_healthy_hour() -> None:
    (high,) = comparisons(parse_condition("error_rate > 1%", METRICS))
    minutes = {0: 0.001, 2: 0.003, 7: 0.02, 8: 0.3, 12: 0.009, 13: 0.002, 20: 0.001}
    history = [measured(value, at=AT + timedelta(minutes=n)) for n, value in minutes.items()]
    # What shares any of its five minutes with a bad window rises or falls with it.
    assert worst_window(high, METRICS["error_rate"], history) == wilson_bounds(0.003, 10_000)[1]
    assert worst_window(high, METRICS["error_rate"], history[3:5]) is None


def test_one_error_after_an_hour_without_any_is_no_sign() -> None:
    (high,) = comparisons(parse_condition("error_rate > 1%", METRICS))
    clean = worst_window(high, METRICS["error_rate"], [measured(0.0, 1000)])
    assert clean is not None
    assert assess("error_rate > 1%", error_rate=(0.001, 1000.0, clean))["AtBaseline"] == "AtBaseline"
    assert assess("error_rate > 1%", error_rate=(0.008, 1000.0, clean))["AtBaseline"] == "WorseThanBaseline"


def test_the_time_for_recovery_follows_from_the_slowest_metric() -> None:
    condition = parse_condition("error_rate > 1%", METRICS)
    assert default_recover_within(condition, METRICS, 3) == timedelta(minutes=5 + 3 + 1)
