"""How guards say numbers, durations and instants in sentences and evidence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from responder.rules.conditions import Comparison, Condition, comparisons
from responder.rules.facts import Facts
from responder.rules.measurement import Measurement
from responder.rules.model import Metric, RuleFile
from responder.rules.promql import render
from responder.rules.quantities import format_duration
from responder.verdicts import Verdict, unknown

# An incident has to hold it; the rule file has it whole.
_LONGEST_QUERY = 800


def no_answer(check: str, facts: Facts, **evidence: str | int | float | bool | None) -> Verdict:
    """That the check is unknown because Prometheus was not there to tell."""
    return unknown(check, "PrometheusUnavailable", f"Prometheus did not answer: {facts.trouble}", **evidence)


def what_lacks(metric: Metric, measured: Measurement, *, bad_needed: bool) -> str:
    """What is missing for the value to mean something, as a clause; empty when nothing is."""
    samples = measured.samples or 0.0
    if samples < metric.min_samples:
        return (
            f"there were {samples:.0f} samples of {metric.name} in {format_duration(measured.range)},"
            f" of {metric.min_samples} needed"
        )
    if bad_needed and metric.bad_samples is not None:
        bad = measured.bad_samples or 0.0
        if bad < metric.min_bad_samples:
            return f"only {bad:.0f} of them were bad, of {metric.min_bad_samples} needed ({metric.name})"
    return ""


def numbers(facts: Facts) -> dict[str, str | float | None]:
    """The measured numbers of the leading condition, as evidence."""
    return evidence_of(facts.file, facts.rule.condition, facts.measurements, facts.file.selector)


def evidence_of(
    file: RuleFile,
    condition: Condition,
    measurements: Mapping[Comparison, Measurement],
    selector: Mapping[str, str],
) -> dict[str, str | float | None]:
    """The measured numbers of a condition, as evidence: values, thresholds, and what they rest on."""
    found: dict[str, str | float | None] = {}
    for leaf in comparisons(condition):
        measured = measurements.get(leaf)
        if measured is None:
            continue
        found[leaf.metric] = measured.value
        found[f"{leaf.metric}_threshold"] = leaf.threshold
        found[f"{leaf.metric}_samples"] = measured.samples
        found[f"{leaf.metric}_range"] = format_duration(measured.range)
        metric = file.metrics[leaf.metric]
        query = render(metric.query, selector, range=measured.range, quantile=metric.quantile)
        found[f"{leaf.metric}_query"] = query[:_LONGEST_QUERY]
    return found


def numbers_at(facts: Facts, at: datetime) -> dict[str, str | float | None]:
    """The leading condition's numbers at an instant of the short-range series, as evidence."""
    found: dict[str, str | float | None] = {}
    for leaf in comparisons(facts.rule.condition):
        metric = facts.file.metrics[leaf.metric]
        range, selector = metric.onset_range, facts.file.selector
        query = render(metric.query, selector, range=range, quantile=metric.quantile)
        found[leaf.metric] = facts.series.get(leaf.metric, {}).get(at)
        found[f"{leaf.metric}_threshold"] = leaf.threshold
        found[f"{leaf.metric}_range"] = format_duration(range)
        found[f"{leaf.metric}_query"] = query[:_LONGEST_QUERY]
    return found


def said(facts: Facts) -> str:
    """The measured values of the leading condition, for a sentence."""
    return said_of(facts.rule.condition, facts.measurements)


def said_of(condition: Condition, measurements: Mapping[Comparison, Measurement]) -> str:
    """The measured values of a condition, for a sentence."""
    parts = []
    for leaf in comparisons(condition):
        measured = measurements.get(leaf)
        value = "unknown" if measured is None or measured.value is None else f"{measured.value:.4g}"
        parts.append(f"{leaf.metric} is {value}")
    return ", ".join(parts)


def rough(duration: timedelta) -> str:
    """A duration for a sentence, to the second."""
    return format_duration(timedelta(seconds=max(0, round(duration.total_seconds()))))


def clock(at: datetime) -> str:
    return at.strftime("%H:%M:%S UTC")
