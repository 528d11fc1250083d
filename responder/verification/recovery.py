"""Is the metric good again, as measured after the traffic proof? Pure; one small function a check.

No data is never recovered: what can't be measured is unknown. Called by the recovery proof.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from responder.rules.conditions import Comparison, Condition, comparisons, holds
from responder.rules.measurement import Measurement
from responder.rules.model import Metric, Unit
from responder.rules.quantities import format_duration
from responder.verdicts import Verdict, failed, passed, unknown
from responder.verification.sampling import wilson_bounds

# Covers scrapes, evaluations and our own polling on top of the windows.
_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """One comparison's metric as measured now, and what it is held against.

    `at_best` is the value that it may stand for at best, given sampling error; `baseline` the worst that the
    target's last healthy hour may stand for, outages left out. None where there is none.
    """

    metric: Metric
    measurement: Measurement
    at_best: float | None
    baseline: float | None

    @property
    def value(self) -> float | None:
        """The value, if it may be judged at all."""
        usable = self.measurement.measured and self.measurement.rests_on(self.metric.min_samples)
        return self.measurement.value if usable else None


def assess_recovery(condition: Condition, readings: Mapping[Comparison, Reading]) -> tuple[Verdict, ...]:
    """Judge the incident's condition and each value against its baseline; recovered only if all passed."""
    return (
        check_condition(condition, readings),
        *(check_baseline(leaf, readings[leaf]) for leaf in dict.fromkeys(comparisons(condition))),
    )


def check_condition(condition: Condition, readings: Mapping[Comparison, Reading]) -> Verdict:
    """The condition that fired is false now, on enough samples."""
    evidence: dict[str, str | int | float | bool | None] = {}
    for comparison, reading in readings.items():
        # Of two comparisons of one metric, the first one's numbers are shown: the leading rule's.
        evidence = _evidence(comparison, reading) | evidence
    values = {comparison.metric: reading.value for comparison, reading in readings.items()}
    held = holds(condition, values)
    measured = "; ".join(_describe(comparison, reading) for comparison, reading in readings.items())
    if held is None:
        reason = next(why for reading in readings.values() if (why := _why_not_usable(reading)))
        message = f"Whether {condition} still holds can't be measured: {measured}."
        return unknown("ConditionFalse", reason, message, **evidence)
    if held:
        return failed("ConditionFalse", "ConditionTrue", f"{condition} still holds: {measured}.", **evidence)
    return passed("ConditionFalse", "ConditionFalse", f"{condition} no longer holds: {measured}.", **evidence)


def check_baseline(comparison: Comparison, reading: Reading) -> Verdict:
    """The value is not worse than the worst window of the last healthy hour by more than sampling error."""
    check, name = "AtBaseline", comparison.metric
    evidence = {**_evidence(comparison, reading), f"{name}_baseline": reading.baseline}
    why = _why_not_usable(reading)
    if why:
        return unknown(check, why, f"{_describe(comparison, reading)}.", **evidence)
    if not has_sampling_error(reading.metric):
        message = f"By how much {name} varies by chance is not known, so only the rule's bound was used."
        return passed(check, "OnlyRuleBound", message, **evidence)
    if reading.baseline is None:
        message = f"There is no history of {name} in good health, so only the rule's bound was used."
        return passed(check, "NoHistory", message, **evidence)
    if reading.at_best is None or math.isnan(reading.at_best):
        return unknown(check, "NoData", f"The sampling error of {name} can't be measured.", **evidence)
    evidence[f"{name}_at_best"] = reading.at_best
    history = f"{_number(reading.baseline, reading.metric)}, the worst of the last healthy hour"
    if _is_worse(comparison, reading.at_best, reading.baseline):
        message = f"{_describe(comparison, reading)}, more than chance away from {history}."
        return failed(check, "WorseThanBaseline", message, **evidence)
    return passed(check, "AtBaseline", f"{_describe(comparison, reading)}, against {history}.", **evidence)


def has_sampling_error(metric: Metric) -> bool:
    """True where the spread of a metric's values follows from its samples: for ratios and quantiles."""
    return metric.quantile is not None or metric.unit is Unit.RATIO


def ratio_at_best(comparison: Comparison, measurement: Measurement) -> float | None:
    """The best ratio that the measured one may stand for, given its samples."""
    if not measurement.measured or not measurement.samples:
        return None
    lowest, highest = wilson_bounds(float(measurement.value or 0), measurement.samples)
    return lowest if comparison.worse_is_higher else highest


def worst_window(comparison: Comparison, metric: Metric, history: Iterable[Measurement]) -> float | None:
    """The worst of these windows that rests on enough samples and was healthy; None where none was.

    A ratio counts as what it may stand for at worst, as the history is a sample, too: a single error after an
    hour without one is no sign of anything. An outage is no health: what shares any time with a window in
    which the comparison held is left out.
    """
    enough = [each for each in history if each.measured and each.rests_on(metric.min_samples)]
    bad_at = [each.at for each in enough if holds(comparison, {comparison.metric: each.value})]
    healthy = (each for each in enough if all(abs(each.at - at) >= metric.range for at in bad_at))
    worst = max if comparison.worse_is_higher else min
    return worst((_at_worst(comparison, metric, each) for each in healthy), default=None)


def _at_worst(comparison: Comparison, metric: Metric, measurement: Measurement) -> float:
    value = float(measurement.value or 0)
    if metric.quantile is not None or not measurement.samples:
        return value
    lowest, highest = wilson_bounds(value, measurement.samples)
    return highest if comparison.worse_is_higher else lowest


def window_after(since_proof: timedelta, metric: Metric) -> timedelta:
    """The longest window up to the metric's range that ends now and lies wholly after the proof.

    Holds from the metric's onset range after the proof on; nothing may be judged before.
    """
    # Whole seconds, as a range is rounded when it is written down and must not reach behind the proof.
    elapsed = timedelta(seconds=math.floor(since_proof.total_seconds()))
    return min(metric.range, max(metric.onset_range, elapsed))


def default_recover_within(
    condition: Condition, metrics: Mapping[str, Metric], good_windows: int
) -> timedelta:
    """How long recovery may take, from the traffic proof, where the rule doesn't say."""
    used = [metrics[comparison.metric] for comparison in comparisons(condition)]
    return max(metric.range + good_windows * metric.onset_range for metric in used) + _MARGIN


def _is_worse(comparison: Comparison, value: float, baseline: float) -> bool:
    return value > baseline if comparison.worse_is_higher else value < baseline


def _why_not_usable(reading: Reading) -> str:
    """The reason why the value can't be judged; empty when it can."""
    measurement = reading.measurement
    if measurement.value is None or measurement.samples is None:
        return "NoData"
    if not measurement.measured:
        return "NotANumber"
    return "" if measurement.rests_on(reading.metric.min_samples) else "TooFewSamples"


def _describe(comparison: Comparison, reading: Reading) -> str:
    measurement, name = reading.measurement, comparison.metric
    over = format_duration(measurement.range)
    match _why_not_usable(reading):
        case "NoData":
            return f"{name} has no data over {over}"
        case "NotANumber":
            return f"{name} is no number over {over}: there is no traffic"
        case "TooFewSamples":
            fewest = reading.metric.min_samples
            return f"{name} rests on {measurement.samples:.0f} samples over {over}, fewer than {fewest}"
    value = _number(float(measurement.value or 0), reading.metric)
    return f"{name} is {value} over {over}, on {measurement.samples:.0f} samples"


def _evidence(comparison: Comparison, reading: Reading) -> dict[str, str | int | float | bool | None]:
    name, measurement = comparison.metric, reading.measurement
    return {
        name: measurement.value,
        f"{name}_threshold": comparison.threshold,
        f"{name}_samples": measurement.samples,
        f"{name}_range": format_duration(measurement.range),
    }


def _number(value: float, metric: Metric) -> str:
    if metric.unit is Unit.RATIO:
        return f"{value * 100:.3g}%"
    return f"{value:.3g}s" if metric.unit is Unit.SECONDS else f"{value:.4g}"
