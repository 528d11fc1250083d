"""Whose alert it is, by which rules, and why or why not: in the words of the one who has to mend it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from responder.alerts.model import RULE_LABEL
from responder.rules.model import Rule, RuleSet
from responder.workloads.key import KIND_BY_LABEL, WorkloadKey, parse_workload_labels


@dataclass(frozen=True, slots=True)
class Attribution:
    """The workload that the labels name (None: none, or no rule speaks of the alert), its rules, and why."""

    workload: WorkloadKey | None
    rules: tuple[Rule, ...]
    why: str


def attribute(labels: Mapping[str, str], rules: RuleSet) -> Attribution:
    """What intake makes of an alert with these labels. It asks the same two questions."""
    key = parse_workload_labels(labels)
    matching = rules.match(labels)
    if key is not None and matching:
        if labels.get(RULE_LABEL):
            return Attribution(key, matching, f"its label {RULE_LABEL} names the rule")
        return Attribution(key, matching, "the matchers of these rules match its labels")
    return Attribution(None, (), _why_not(labels, rules, key))


def _why_not(labels: Mapping[str, str], rules: RuleSet, key: WorkloadKey | None) -> str:
    if key is None:
        return _why_no_workload(labels)
    file = rules.file_for(key)
    if file is None:
        known = ", ".join(map(str, rules.workloads()))
        return f"no rule file speaks of {key}; rule files speak of {known}"
    named = labels.get(RULE_LABEL, "")
    owner = next((f for f in rules.files if any(rule.id == named for rule in f.rules)), None)
    if owner is not None:
        return f"its label {RULE_LABEL} names {named}, a rule about {owner.workload} and not about {key}"
    missed = [why for rule in file.rules if rule.matchers for why in (_missed(rule, labels),)]
    unknown = f"its label {RULE_LABEL} names {named!r}, which is in no rule file" if named else ""
    absent = "" if named else f"it carries no label {RULE_LABEL}"
    tried = f"; {'; '.join(missed)}" if missed else f", and no rule of {file.path} has matchers"
    return f"{unknown or absent}{tried}"


def _why_no_workload(labels: Mapping[str, str]) -> str:
    named = [label for label in KIND_BY_LABEL if labels.get(label)]
    if not labels.get("namespace"):
        return "it carries no label namespace"
    if not named:
        return f"it carries none of the labels {', '.join(KIND_BY_LABEL)}"
    return f"it names more than one workload, by {' and '.join(named)}"


def _missed(rule: Rule, labels: Mapping[str, str]) -> str:
    failing = [str(matcher) for matcher in rule.matchers if not matcher.matches(labels)]
    return f"rule {rule.id} wants {', '.join(failing)}"
