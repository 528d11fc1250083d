"""The sections of a rule file: workload, metrics, alerts, rollback, Slack. Pure; for the loader alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

import yaml

from responder.rules.conditions import Condition, parse_condition
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
from responder.rules.matchers import parse_matchers
from responder.rules.model import (
    MIN_BAD_SAMPLES,
    MIN_SAMPLES,
    Action,
    Channel,
    Metric,
    OnExpiry,
    RollbackPolicy,
    Rule,
)
from responder.rules.promql import check_query, find_placeholders, render
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

METRIC_KEYS = (
    "unit", "range", "query", "samples", "bad_samples",
    "quantile", "onset_range", "min_samples", "min_bad_samples",
)  # fmt: skip
ALERT_KEYS = ("if", "for", "severity", "action", "notify", "on_expiry", "decide_within", "match")
ROLLBACK_KEYS = (
    "window", "caused_within", "within", "recover_within",
    "cooldown", "clean_gap", "hold", "settle", "good_windows",
)  # fmt: skip

_DEFAULT_ONSET_RANGE = timedelta(minutes=1)
_DEFAULT_DECIDE_WITHIN = timedelta(minutes=30)


class Severity(StrEnum):
    """PagerDuty's four severities, which Prometheus rules use as well."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


def parse_workload(node: yaml.Node, findings: Findings) -> WorkloadKey | None:
    """The workload a file speaks of: a namespace and exactly one of deployment, statefulset, daemonset."""
    fields = Fields(node, findings, "workload", ("namespace", *KIND_BY_LABEL))
    namespace = fields.needed("namespace", dns_label, "", "the workload's namespace")
    named = [label for label in KIND_BY_LABEL if label in fields.values]
    if isinstance(node, yaml.MappingNode) and len(named) != 1:
        findings.add(node, f"workload needs exactly one of {', '.join(KIND_BY_LABEL)}")
        return None
    name = fields.needed(named[0], dns_subdomain, "", "its name") if named else ""
    return WorkloadKey(namespace, KIND_BY_LABEL[named[0]], name) if namespace and name else None


def parse_metrics(node: yaml.Node, findings: Findings) -> dict[str, Metric | None]:
    """The metrics by name; None for one that is wrong, so that conditions on it aren't reported as well."""
    names = Fields(node, findings, "metrics", None)
    metrics: dict[str, Metric | None] = {}
    for name, value in names.values.items():
        before = len(findings.errors)
        names.parse(names.keys[name], _metric_name, "metrics")
        metric = _parse_metric(name, value, findings)
        metrics[name] = metric if len(findings.errors) == before else None
    return metrics


def _parse_metric(name: str, node: yaml.Node, findings: Findings) -> Metric:
    fields = Fields(node, findings, f"metric {name}", METRIC_KEYS)
    unit = fields.needed("unit", one_of(Unit), Unit.COUNT, "ratio, seconds or count")
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
    return Metric(
        name=name,
        unit=unit,
        range=window,
        query=query,
        samples=samples,
        bad_samples=bad_samples,
        quantile=quantile,
        onset_range=onset,
        min_samples=fields.optional("min_samples", whole_number(1, 1_000_000), MIN_SAMPLES),
        min_bad_samples=fields.optional("min_bad_samples", whole_number(0, 1_000_000), MIN_BAD_SAMPLES),
    )


def _optional_fraction(text: str) -> float | None:
    return fraction(text)


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
        example = render(
            text, {"namespace": "n"}, range=timedelta(minutes=5), threshold=1.0, quantile=quantile or 0.5
        )
        check_query(example)
        return text

    return fields.needed(key, parse, "", "a PromQL query with $selector and $range")


def parse_rules(
    node: yaml.Node, findings: Findings, service: str, metrics: Mapping[str, Metric | None]
) -> tuple[Rule, ...]:
    """The rules of the alerts section, in the order of the file."""
    names = Fields(node, findings, "alerts", None)
    if isinstance(node, yaml.MappingNode) and not node.value:
        findings.add(node, "alerts is empty: the file would do nothing")
    rules = []
    for name, value in names.values.items():
        names.parse(names.keys[name], dns_label, "alerts")
        rule = _parse_rule(name, value, names.keys[name], findings, service, metrics)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _parse_rule(
    name: str,
    node: yaml.Node,
    key: yaml.Node,
    findings: Findings,
    service: str,
    metrics: Mapping[str, Metric | None],
) -> Rule | None:
    fields = Fields(node, findings, f"alert {name}", ALERT_KEYS)
    condition = _parse_if(fields, metrics)
    matchers = fields.list_of("match", parse_matchers)
    wait = duration_between("0s", "24h")
    if "match" in fields.values:
        for_ = fields.optional("for", wait, timedelta())
    else:
        for_ = fields.needed("for", wait, timedelta(), "how long it has to be true, such as 5m")
    severity = fields.needed("severity", one_of(Severity), Severity.INFO, "critical, error, warning or info")
    action = fields.needed("action", one_of(Action), Action.NONE, "rollback, ask or none")
    channels = frozenset(fields.list_of("notify", one_of(Channel)))
    if fields.require("notify", "who is told, a list of slack and pagerduty") is not None and not channels:
        findings.add(fields.values["notify"], "notify names nobody, so nobody would learn of the alert")
    if condition is None:
        return None
    return Rule(
        id=f"{service}/{name}",
        service=service,
        name=name,
        condition=condition,
        for_=for_,
        severity=severity.value,
        action=action,
        notify=channels,
        on_expiry=fields.optional("on_expiry", one_of(OnExpiry), OnExpiry.PAGE),
        decide_within=fields.optional("decide_within", duration_between("10s", "7d"), _DEFAULT_DECIDE_WITHIN),
        matchers=tuple(matcher for group in matchers for matcher in group),
        location=findings.locate(key),
    )


def _parse_if(fields: Fields, metrics: Mapping[str, Metric | None]) -> Condition | None:
    """The condition, or None where it is wrong or speaks of a metric that was already reported."""
    node = fields.require("if", "a condition such as error_rate > 1%")
    if node is None:
        return None
    broken = [name for name, metric in metrics.items() if metric is None]
    if isinstance(node, yaml.ScalarNode) and any(
        re.search(rf"\b{re.escape(n)}\b", node.value) for n in broken
    ):
        return None
    known = {name: metric for name, metric in metrics.items() if metric is not None}
    return fields.parse(node, lambda text: parse_condition(text, known), "if")


def parse_rollback(node: yaml.Node, findings: Findings) -> RollbackPolicy:
    """The rollback policy: what the file says, and the defaults for the rest."""
    fields = Fields(node, findings, "rollback", ROLLBACK_KEYS)
    default = RollbackPolicy()

    def optional(name: str, shortest: str, longest: str) -> timedelta | None:
        node = fields.values.get(name)
        return fields.parse(node, duration_between(shortest, longest), name) if node is not None else None

    return RollbackPolicy(
        window=optional("window", "1m", "30d") or default.window,
        caused_within=optional("caused_within", "1s", "30d") or default.caused_within,
        within=optional("within", "10s", "1h") or default.within,
        recover_within=optional("recover_within", "10s", "6h"),
        cooldown=optional("cooldown", "1m", "7d") or default.cooldown,
        clean_gap=fields.optional("clean_gap", duration_between("0s", "24h"), default.clean_gap),
        hold=optional("hold", "1s", "10m"),
        settle=optional("settle", "0s", "6h"),
        good_windows=fields.optional("good_windows", whole_number(1, 20), default.good_windows),
    )


def parse_slack(node: yaml.Node, findings: Findings) -> tuple[str | None, tuple[str, ...]]:
    """The channel that is told, and the user ids who may decide."""
    fields = Fields(node, findings, "slack", ("channel", "deciders"))
    channel = fields.optional("channel", _slack_channel, "") or None
    return channel, fields.list_of("deciders", _slack_user)
