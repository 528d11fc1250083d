"""What the README says of rule files is so: its example loads, its table names every key with its default."""

from __future__ import annotations

import re
from functools import cache

import pytest

from responder.rules.alert_rules import ALERT_KEYS
from responder.rules.dependencies import DEPENDENCY_KEYS
from responder.rules.findings import RuleErrors
from responder.rules.guards.checklist import GUARDS
from responder.rules.load import FILE_KEYS, parse_rule_file
from responder.rules.model import RuleFile
from responder.rules.quantities import format_duration
from responder.rules.sections import METRIC_KEYS, ROLLBACK_KEYS, SLACK_KEYS, WORKLOAD_KEYS
from tests.shared import CHECKOUT
from tests.unit.rules.build import facts

SECTIONS = {
    "workload": WORKLOAD_KEYS,
    "metrics.*": METRIC_KEYS,
    "alerts.*": ALERT_KEYS,
    "dependencies.*": DEPENDENCY_KEYS,
    "rollback": ROLLBACK_KEYS,
    "slack": SLACK_KEYS,
}


@cache
def section() -> str:
    """The README's section on rule files."""
    found = re.search(
        r"^## Rules are the strategy document\n(.*?)^## ",
        (CHECKOUT / "README.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert found
    return found[1]


@cache
def example() -> RuleFile:
    """The rule file that the section shows."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```", section(), re.DOTALL | re.MULTILINE)
    return parse_rule_file(text, "README.md")


@cache
def table() -> dict[str, str]:
    """What the table gives as each key's default."""
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", section(), re.MULTILINE)
    return {key: default.strip("`") for keys, default in rows for key in re.findall(r"`([^`]+)`", keys)}


def test_the_example_is_a_rule_file_without_a_warning() -> None:
    assert len(example().rules) == 2
    assert example().warnings == ()


def test_the_table_names_every_key() -> None:
    below = {f"{name}.{key}" for name, keys in SECTIONS.items() for key in keys}
    assert set(table()) == {*FILE_KEYS, *below}


def test_the_table_says_what_is_needed() -> None:
    with pytest.raises(RuleErrors) as caught:
        parse_rule_file("workload: {}\nmetrics: {m: {}}\nalerts: {a: {}}\ndependencies: {d: {}}\n", "x.yaml")
    names = {"the file": "", "workload": "workload."}
    names |= {"metric m": "metrics.*.", "alert a": "alerts.*.", "dependency d": "dependencies.*."}
    found = [re.match("(.+) lacks ([a-zA-Z_]+):", each.message) for each in caught.value.errors]
    lacking = {names[each[1]] + each[2] for each in found if each}
    told = {key for key, default in table().items() if default == "needed"}
    assert told == lacking | {"workload", "metrics", "alerts"}


def test_the_table_says_the_defaults() -> None:
    file = example()
    metric, rule, policy = file.metrics["error_rate"], file.rules[0], file.rollback
    defaults = {
        "metrics.*.onset_range": format_duration(metric.onset_range),
        "metrics.*.min_samples": str(metric.min_samples),
        "metrics.*.min_bad_samples": str(metric.min_bad_samples),
        "alerts.*.on_expiry": rule.on_expiry.value,
        "alerts.*.decide_within": format_duration(rule.decide_within),
        **{
            f"rollback.{key}": format_duration(getattr(policy, key))
            for key in ("window", "caused_within", "clean_gap", "cooldown", "within")
        },
        "rollback.good_windows": str(policy.good_windows),
        "rollback.gitops": policy.gitops.value,
    }
    assert {key: table()[key] for key in defaults} == defaults
    assert policy.recover_within is policy.hold is policy.settle is None


def test_the_table_names_every_guard_and_says_reasons_that_exist() -> None:
    text = (CHECKOUT / "README.md").read_text()
    (told,) = re.findall(r"^\| guard \|.*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in told.splitlines()]
    assert [row[0] for row in rows] == [guard(facts()).check for guard in GUARDS]
    source = "".join(path.read_text() for path in (CHECKOUT / "responder/rules/guards").glob("*.py"))
    for _, _, reasons in rows:
        assert [each for each in re.findall(r"`(\w+)`", reasons) if f'"{each}"' not in source] == []
