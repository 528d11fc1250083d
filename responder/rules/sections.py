"""A rule file's workload, metrics, rollback policy and Slack section. Pure; for the loader alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import yaml

from responder.rules.document import Findings
from responder.rules.fields import (
    Fields,
    duration_between,
    fraction,
    matching,
    one_of,
    whole_number,
)
from responder.rules.findings import TextError
from responder.rules.model import MIN_BAD_SAMPLES, MIN_SAMPLES, GitOps, Metric, RollbackPolicy
from responder.rules.promql import check_query, find_narrowing, find_placeholders, render
from responder.rules.quantities import Unit, format_duration
from responder.workloads.key import KIND_BY_LABEL, WorkloadKey

# Source: Kubernetes apimachinery pkg/util/validation, IsDNS1123Label and IsDNS1123Subdomain
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
dns_label = matching(_LABEL, "name of small letters, digits and -, at most 63 characters", 63)
dns_subdomain = matching(
    rf"{_LABEL}(\.{_LABEL})*", "name of small letters, digits, - and ., at most 253 characters", 253
)
_metric_name = matching(
    r"(?!(?:and|or|not)$)[a-z_][a-z0-9_]*",
    "metric name of small letters, digits and _, such as error_rate",
    63,
)
_slack_user = matching(r"[UW][A-Z0-9]{4,20}", "Slack user id such as U012AB3CD (not a display name)", 21)
_slack_channel = matching(r"#?[^\s#]+", "Slack channel such as #payments or C012AB3CD", 80)

WORKLOAD_KEYS = ("namespace", *KIND_BY_LABEL)
METRIC_KEYS = (
    "unit", "range", "query", "samples", "bad_samples",
    "quantile", "onset_range", "min_samples", "min_bad_samples",
)  # fmt: skip
ROLLBACK_KEYS = (
    "window", "caused_within", "within", "recover_within",
    "cooldown", "clean_gap", "hold", "settle", "good_windows", "gitops",
)  # fmt: skip
SLACK_KEYS = ("channel", "deciders")

_DEFAULT_ONSET_RANGE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class BrokenMetric:
    """Stands in for a metric that is wrong, so that conditions on it are read; `unit` None is wrong too."""

    name: str
    unit: Unit | None


def parse_workload(node: yaml.Node, findings: Findings) -> WorkloadKey | None:
    """The workload a file speaks of: a namespace and exactly one of deployment, statefulset, daemonset."""
    fields = Fields(node, findings, "workload", WORKLOAD_KEYS)
    namespace = fields.needed("namespace", dns_label, "", "the workload's namespace")
    named = [label for label in KIND_BY_LABEL if label in fields.values]
    if isinstance(node, yaml.MappingNode) and len(named) != 1:
        findings.add(node, f"workload needs exactly one of {', '.join(KIND_BY_LABEL)}")
        return None
    name = fields.needed(named[0], dns_subdomain, "", "its name") if named else ""
    return WorkloadKey(namespace, KIND_BY_LABEL[named[0]], name) if namespace and name else None


def parse_metrics(node: yaml.Node, findings: Findings) -> dict[str, Metric | BrokenMetric]:
    """The metrics by name, those that are wrong as stand-ins."""
    names = Fields(node, findings, "metrics", None)
    metrics: dict[str, Metric | BrokenMetric] = {}
    for name, value in names.values.items():
        if names.parse(names.keys[name], _metric_name, "metrics") is None:
            # Conditions may already name it as it should be called.
            named = re.sub(r"[^a-z0-9_]", "_", name.lower())
            metrics.setdefault(named, BrokenMetric(named, None))
        metrics[name] = _parse_metric(name, value, findings)
    return metrics


def _parse_metric(name: str, node: yaml.Node, findings: Findings) -> Metric | BrokenMetric:
    before = len(findings.errors)
    fields = Fields(node, findings, f"metric {name}", METRIC_KEYS)
    unit = fields.needed("unit", _optional_unit, None, "ratio, seconds or count")
    window = fields.needed(
        "range", duration_between("1s", "24h"), timedelta(minutes=5), "a duration such as 5m"
    )
    onset = fields.optional("onset_range", duration_between("1s", "24h"), min(_DEFAULT_ONSET_RANGE, window))
    if onset > window:
        findings.add(
            fields.values["onset_range"], f"onset_range is longer than range ({format_duration(window)})"
        )
    quantile = fields.optional("quantile", _optional_fraction, None)
    query = _parse_query(fields, "query", quantile)
    samples = _parse_query(fields, "samples", quantile)
    bad_samples = _parse_query(fields, "bad_samples", quantile) if "bad_samples" in fields.values else None
    if quantile is not None and "$quantile" not in query:
        findings.add(fields.values["quantile"], "quantile is never used: write $quantile in the query")
    min_samples = fields.optional("min_samples", whole_number(1, 1_000_000), MIN_SAMPLES)
    min_bad_samples = fields.optional("min_bad_samples", whole_number(0, 1_000_000), MIN_BAD_SAMPLES)
    if unit is None or len(findings.errors) > before:
        return BrokenMetric(name, unit)
    _warn_of_silence(fields, unit, query, samples, quantile)
    return Metric(
        name=name,
        unit=unit,
        range=window,
        query=query,
        samples=samples,
        bad_samples=bad_samples,
        quantile=quantile,
        onset_range=onset,
        min_samples=min_samples,
        min_bad_samples=min_bad_samples,
    )


def _optional_fraction(text: str) -> float | None:
    return fraction(text)


def _optional_unit(text: str) -> Unit | None:
    return one_of(Unit)(text)


def _parse_query(fields: Fields, key: str, quantile: float | None) -> str:
    def parse(text: str) -> str:
        used = find_placeholders(text)
        for name in ("selector", "range"):
            if name not in used:
                raise TextError(f"lacks ${name}, by which it is asked for one workload and one window")
        if "threshold" in used and key != "bad_samples":
            raise TextError("$threshold may stand only in bad_samples", text.index("$threshold"))
        if "quantile" in used and quantile is None:
            raise TextError("uses $quantile, but the metric has no quantile", text.index("$quantile"))
        check_query(_example(text, quantile))
        return text

    return fields.needed(key, parse, "", "a PromQL query with $selector and $range")


def _example(template: str, quantile: float | None) -> str:
    """The query as it might be asked, for whoever has to parse it."""
    return render(
        template, {"namespace": "n"}, range=timedelta(minutes=5), threshold=1.0, quantile=quantile or 0.5
    )


def _warn_of_silence(fields: Fields, unit: Unit, query: str, samples: str, quantile: float | None) -> None:
    """Warn of a query that counts only some of the samples and is without any data while there are none."""
    if unit is Unit.SECONDS:
        return  # No requests took 0 s: a duration without samples has no value that could be put in.
    narrowing = find_narrowing(_example(query, quantile), _example(samples, quantile))
    if narrowing is None:
        return
    text = fields.values["query"]
    fields.findings.warn(
        text,
        f"query: has no data while no series matches {narrowing}, so that nothing shows"
        " that it was good before a rollout or is again after one: write (... or vector(0)) around the part"
        " that counts them",
        max(query.find(narrowing), 0),
    )


def parse_rollback(node: yaml.Node, findings: Findings, metrics: Iterable[Metric]) -> RollbackPolicy:
    """The rollback policy: what the file says, and the defaults for the rest."""
    fields = Fields(node, findings, "rollback", ROLLBACK_KEYS)
    default = RollbackPolicy()

    def optional(name: str, shortest: str, longest: str) -> timedelta | None:
        node = fields.values.get(name)
        return fields.parse(node, duration_between(shortest, longest), name) if node is not None else None

    policy = RollbackPolicy(
        window=optional("window", "1m", "30d") or default.window,
        caused_within=optional("caused_within", "1s", "30d") or default.caused_within,
        within=optional("within", "10s", "1h") or default.within,
        recover_within=optional("recover_within", "10s", "6h"),
        cooldown=optional("cooldown", "1m", "7d") or default.cooldown,
        clean_gap=fields.optional("clean_gap", duration_between("0s", "24h"), default.clean_gap),
        hold=optional("hold", "1s", "10m"),
        settle=optional("settle", "0s", "6h"),
        good_windows=fields.optional("good_windows", whole_number(1, 20), default.good_windows),
        gitops=fields.optional("gitops", one_of(GitOps), default.gitops),
    )
    slowest = max(metrics, key=lambda metric: metric.onset_range, default=None)
    if slowest is not None:
        _warn_of_hurry(fields, policy, slowest)
        _warn_of_short_gap(fields, policy, slowest)
    _warn_of_late_cause(fields, policy)
    return policy


def _warn_of_hurry(fields: Fields, policy: RollbackPolicy, slowest: Metric) -> None:
    """Warn of a time for recovery in which the good windows that prove it find no room."""
    if policy.recover_within is None:
        return
    least = policy.good_windows * slowest.onset_range
    if policy.recover_within <= least:
        fields.findings.warn(
            fields.values["recover_within"],
            f"recover_within: {slowest.name} is never proven to recover in"
            f" {format_duration(policy.recover_within)}: its {policy.good_windows} good windows, an"
            f" onset_range each, take {format_duration(least)}",
        )


def _warn_of_short_gap(fields: Fields, policy: RollbackPolicy, slowest: Metric) -> None:
    """Warn of a clean gap, where one is written, that no value at short range lies in whole."""
    written = fields.values.get("clean_gap")
    if written is not None and policy.clean_gap < slowest.onset_range:
        fields.findings.warn(
            written,
            f"clean_gap: {format_duration(policy.clean_gap)} is shorter than the onset_range of"
            f" {slowest.name}, {format_duration(slowest.onset_range)}: no value that was measured before a"
            " rollout rests on the gap alone; write at least as long a one",
        )


def _warn_of_late_cause(fields: Fields, policy: RollbackPolicy) -> None:
    """Warn of a caused_within, where one is written, that the rollback window ends before."""
    written = fields.values.get("caused_within")
    if written is not None and policy.caused_within > policy.window:
        window = format_duration(policy.window)
        fields.findings.warn(
            written,
            f"caused_within: {format_duration(policy.caused_within)} is longer than the window, {window},"
            f" after which no release is rolled back by itself; write at most {window}, or a longer window",
        )


def parse_slack(node: yaml.Node, findings: Findings) -> tuple[str | None, tuple[str, ...]]:
    """The channel that is told, and the user ids who may decide."""
    fields = Fields(node, findings, "slack", SLACK_KEYS)
    channel = fields.optional("channel", _slack_channel, "") or None
    return channel, fields.list_of("deciders", _slack_user)
