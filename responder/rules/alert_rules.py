"""The alerts section of a rule file: conditions, and what each asks for. Pure; for the loader alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

import yaml

from responder.rules.conditions import Condition, Measurable, parse_condition
from responder.rules.document import Findings
from responder.rules.fields import Fields, duration_between, one_of
from responder.rules.matchers import parse_matchers
from responder.rules.model import Action, Channel, OnExpiry, Rule
from responder.rules.sections import dns_label
from responder.workloads.key import WorkloadKey

ALERT_KEYS = ("if", "for", "severity", "action", "notify", "on_expiry", "decide_within", "match")
DEFAULT_DECIDE_WITHIN = timedelta(minutes=30)


class Severity(StrEnum):
    """PagerDuty's four severities, which Prometheus rules use as well."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


def parse_rules(
    node: yaml.Node,
    findings: Findings,
    service: str,
    workload: WorkloadKey | None,
    metrics: Mapping[str, Measurable],
) -> tuple[Rule, ...]:
    """The rules of the alerts section, in the order of the file."""
    names = Fields(node, findings, "alerts", None)
    if isinstance(node, yaml.MappingNode) and not node.value:
        findings.add(node, "alerts is empty: the file would do nothing")
    rules = []
    for name, value in names.values.items():
        names.parse(names.keys[name], dns_label, "alerts")
        fields = Fields(value, findings, f"alert {name}", ALERT_KEYS)
        rule = _parse_rule(name, fields, names.keys[name], service, metrics)
        if rule is not None:
            rules.append(rule)
            _warn_of_vain(fields, rule, workload)
    return tuple(rules)


def _parse_rule(
    name: str, fields: Fields, key: yaml.Node, service: str, metrics: Mapping[str, Measurable]
) -> Rule | None:
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
    notify = fields.require("notify", "who is told, a list of slack and pagerduty")
    if isinstance(notify, yaml.SequenceNode) and not notify.value:
        fields.findings.add(notify, "notify names nobody, so nobody would learn of the alert")
    on_expiry = fields.optional("on_expiry", one_of(OnExpiry), OnExpiry.PAGE)
    within = fields.optional("decide_within", duration_between("10s", "7d"), DEFAULT_DECIDE_WITHIN)
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
        on_expiry=on_expiry,
        decide_within=within,
        matchers=tuple(matcher for group in matchers for matcher in group),
        location=fields.findings.locate(key),
    )


def _parse_if(fields: Fields, metrics: Mapping[str, Measurable]) -> Condition | None:
    node = fields.require("if", "a condition such as error_rate > 1%")
    return None if node is None else fields.parse(node, lambda text: parse_condition(text, metrics), "if")


def _warn_of_vain(fields: Fields, rule: Rule, workload: WorkloadKey | None) -> None:
    """Warn of what the rule asks for and never gets."""
    if rule.action is Action.NONE:
        for key in ("on_expiry", "decide_within"):
            if key in fields.values:
                fields.findings.warn(
                    fields.keys[key], f"{key} does nothing with action: none, where nobody is asked"
                )
    elif workload is not None and "action" in fields.values:
        reason = _never_rolled_back(workload)
        if reason:
            fields.findings.warn(
                fields.values["action"],
                f"action: {reason}, so {rule.action.value} only pages a person; action: none just tells",
            )


def _never_rolled_back(workload: WorkloadKey) -> str:
    """Why nothing ever rolls the workload back; empty where something may."""
    if workload.kind != "Deployment":
        return f"a {workload.kind} is never rolled back, only a Deployment"
    if workload.namespace.startswith("kube-"):
        return f"namespace {workload.namespace} is protected, nothing in it is rolled back"
    return ""
