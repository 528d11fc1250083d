"""Rule files from text and from directories: every mistake at its line and column, all of them at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.rules.conditions import Comparison
from responder.rules.document import LARGEST_FILE_BYTES
from responder.rules.findings import Location, RuleErrors
from responder.rules.load import load_rules, parse_rule_file
from responder.rules.matchers import Matcher
from responder.rules.model import Action, Channel, Mode, OnExpiry, RollbackPolicy
from responder.rules.quantities import Unit
from responder.workloads.key import WorkloadKey

CHECKOUT = Path(__file__).parents[3]

GOOD = """\
apiVersion: responder.dev/v1alpha1
kind: RuleFile
service: shop
workload: {namespace: shops, deployment: shop}
services: [shop]
mode: observe
metrics:
  error_rate:
    unit: ratio
    range: 5m
    query: sum(rate(errors{$selector}[$range]))
    samples: sum(increase(requests{$selector}[$range]))
alerts:
  errors:
    if: error_rate > 1%
    for: 5m
    severity: critical
    action: rollback
    notify: [slack, pagerduty]
rollback: {window: 24h}
slack: {channel: "#shop", deciders: [U012AB3CD]}
"""


def errors_of(text: str) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        parse_rule_file(text, "shop.yaml")
    return [str(error) for error in caught.value.errors]


def test_a_scenario_is_told_to_be_one_and_nothing_else() -> None:
    scenario = CHECKOUT / "responder/sandbox/scenarios/bad-release.yaml"
    assert errors_of(scenario.read_text(encoding="utf-8")) == [
        "shop.yaml:5:7: kind: this is a scenario, no rule file: play it by `responder sandbox FILE`"
    ]


def test_another_kind_is_told_alone() -> None:
    assert errors_of("apiVersion: apps/v1\nkind: Deployment\nspec: {}\n") == [
        "shop.yaml:2:7: kind: 'Deployment' is no kind known here: write RuleFile"
    ]


def test_the_reference_file_says_what_the_strategy_says() -> None:
    (file,) = load_rules(CHECKOUT / "rules").files
    said = {
        rule.name: (str(rule.condition), rule.for_, rule.action, set(rule.notify), rule.on_expiry)
        for rule in file.rules
    }

    both = {Channel.SLACK, Channel.PAGERDUTY}
    five, ten = timedelta(minutes=5), timedelta(minutes=10)
    assert said == {
        "high-error-rate": ("error_rate > 1%", five, Action.ROLLBACK, both, OnExpiry.PAGE),
        "slow": ("latency_p95 > 3s", five, Action.NONE, {Channel.SLACK}, OnExpiry.PAGE),
        "very-slow": ("latency_p95 > 5s", ten, Action.ASK, both, OnExpiry.PAGE),
    }
    assert file.workload == WorkloadKey("payments", "Deployment", "payment-service")
    assert file.rollback == RollbackPolicy(caused_within=timedelta(hours=24))


def test_a_good_file_and_its_defaults() -> None:
    file = parse_rule_file(GOOD, "shop.yaml")
    metric = file.metrics["error_rate"]
    (rule,) = file.rules

    assert (file.service, file.services, file.mode) == ("shop", ("shop",), Mode.OBSERVE)
    assert (file.slack_channel, file.deciders) == ("#shop", ("U012AB3CD",))
    assert (metric.unit, metric.bad_samples, metric.quantile) == (Unit.RATIO, None, None)
    assert (metric.onset_range, metric.min_samples, metric.min_bad_samples) == (timedelta(minutes=1), 300, 5)
    assert rule.id == "shop/errors"
    assert rule.condition == Comparison("error_rate", ">", 0.01, "error_rate > 1%")
    assert (rule.on_expiry, rule.decide_within) == (OnExpiry.PAGE, timedelta(minutes=30))
    assert rule.location == Location("shop.yaml", 14, 3)
    assert file.rollback == RollbackPolicy()


def test_a_short_range_shortens_the_onset_range() -> None:
    file = parse_rule_file(GOOD.replace("range: 5m", "range: 20s"), "shop.yaml")
    assert file.metrics["error_rate"].onset_range == timedelta(seconds=20)


def test_an_alert_of_somebody_elses_rules_needs_no_for() -> None:
    text = GOOD.replace(
        "    for: 5m\n", "    match: ['alertname=\"Errors\"', 'severity=~\"page|critical\"']\n"
    )
    (rule,) = parse_rule_file(text, "shop.yaml").rules
    assert rule.matchers == (Matcher("alertname", "=", "Errors"), Matcher("severity", "=~", "page|critical"))
    assert rule.for_ == timedelta()


def test_words_that_yaml_would_read_as_something_else_stay_words() -> None:
    text = GOOD.replace("service: shop\n", "service: on\n").replace("deployment: shop", "deployment: 1e3")
    file = parse_rule_file(text, "shop.yaml")
    assert (file.service, file.workload.name) == ("on", "1e3")


MISTAKES = yaml.safe_load((Path(__file__).parent / "mistakes.yaml").read_text())


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: f"{each['replace']}->{each['by']}")
def test_each_mistake_is_found_at_its_place(mistake: dict[str, Any]) -> None:
    assert mistake["replace"] in GOOD
    text = GOOD.replace(mistake["replace"], mistake["by"], 1)
    assert errors_of(text) == [f"shop.yaml:{each}" for each in mistake["said"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: the file is empty: it needs apiVersion, kind, service, workload, metrics and alerts"),
        (
            "# nothing\n",
            "1:1: the file is empty: it needs apiVersion, kind, service, workload, metrics and alerts",
        ),
        ("- a\n", "1:1: the file has to be a mapping of keys to values"),
        ("a: 1\n b: 2\n", "2:3: not YAML: mapping values are not allowed in this context (indentation?)"),
        (
            "a:\n    b:\n      c: 1\n   d: 2\n",
            "4:4: not YAML: while parsing a block mapping, did not find expected key (indentation?)",
        ),
        ("a: b: c\n", "1:5: not YAML: mapping values are not allowed in this context (indentation?)"),
        (
            "a: [b\nc: d\n",
            "2:2: not YAML: while parsing a flow sequence, did not find expected ',' or ']'",
        ),
        ("a: *b\n", "1:4: not YAML: found undefined alias"),
        (
            "\ta: 1\n",
            "1:1: not YAML: while scanning for the next token, found character that cannot start any token"
            " (a tab? indent with spaces)",
        ),
        (
            "a: 1\n---\nb: 1\n",
            "2:1: not YAML: expected a single document in the stream, but found another document",
        ),
        (
            "a: !!python/name:os.system\n",
            "1:4: the tag tag:yaml.org,2002:python/name:os.system is not used in rule files",
        ),
        ("a: \x00\n", "1:1: not YAML: unacceptable character #x0000: control characters are not allowed"),
        ("[" * 100_000, "1:21: nested more than 20 levels deep"),
    ],
)
def test_what_is_no_rule_file(text: str, said: str) -> None:
    assert errors_of(text) == [f"shop.yaml:{said}"]


def test_an_alias_that_contains_itself_ends() -> None:
    assert "shop.yaml:1:1: workload needs exactly one of deployment, statefulset, daemonset" in errors_of(
        "&x {workload: *x}\n"
    )


def test_a_metric_that_is_wrong_is_reported_once() -> None:
    said = errors_of(GOOD.replace("unit: ratio", "unit: rate", 1))
    assert said == ["shop.yaml:9:11: unit: unknown value 'rate': did you mean ratio?"]


def test_conditions_on_a_metric_that_is_wrong_are_still_read() -> None:
    broken = GOOD.replace("rate(errors", "rat(errors")
    query = "shop.yaml:11:12: query: invalid PromQL: unknown function with name 'rat'"
    unit = "if: error_rate: 3s is a duration, but the metric is a ratio: write a percentage such as 1%"
    assert errors_of(broken.replace("> 1%", "> 3s")) == [query, f"shop.yaml:15:22: {unit}"]
    unknown = "if: unknown metric eror_rate: did you mean error_rate?"
    assert errors_of(broken.replace("if: error", "if: eror")) == [query, f"shop.yaml:15:9: {unknown}"]


@pytest.mark.parametrize("threshold", ["1%", "3s", "2.5s", "3"])
def test_a_metric_whose_unit_is_wrong_takes_any_threshold(threshold: str) -> None:
    said = errors_of(GOOD.replace("unit: ratio", "unit: rate").replace("1%", threshold))
    assert said == ["shop.yaml:9:11: unit: unknown value 'rate': did you mean ratio?"]


def test_a_metric_whose_name_is_wrong_may_be_named_either_way() -> None:
    broken = GOOD.replace("  error_rate:\n", "  error-rate:\n")
    name = "metrics: 'error-rate' is no metric name of small letters, digits and _, such as error_rate"
    for named in ("error-rate", "error_rate"):
        assert errors_of(broken.replace("if: error_rate", f"if: {named}")) == [f"shop.yaml:8:3: {name}"]


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.replace("for: 5m", "for: 5").replace("mode: observe", "mode: x"))
    (tmp_path / "b.yml").write_text("kind: [")
    with pytest.raises(RuleErrors) as caught:
        load_rules(tmp_path)
    places = [(Path(error.file).name, error.line) for error in caught.value.errors]
    assert places == [("a.yaml", 6), ("a.yaml", 16), ("b.yml", 2)]
    assert str(caught.value).count("\n") == 2


def test_two_files_for_one_workload(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("service: shop\n", "service: shop-two\n"))
    with pytest.raises(RuleErrors) as caught:
        load_rules(tmp_path)
    assert [str(error) for error in caught.value.errors] == [
        f"{tmp_path}/b.yaml:4:11: deployment shops/shop already has a rule file: {tmp_path}/a.yaml:4:11"
    ]


def test_two_files_for_one_service_and_alert_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("namespace: shops", "namespace: other"))
    with pytest.raises(RuleErrors) as caught:
        load_rules(tmp_path)
    assert [str(error) for error in caught.value.errors] == [
        f"{tmp_path}/b.yaml:3:10: the service shop already has a rule file: {tmp_path}/a.yaml:3:10",
        f"{tmp_path}/b.yaml:14:3: the alert would be called ShopErrors in Prometheus, as one is:"
        f" {tmp_path}/a.yaml:14:3",
    ]


def test_only_rule_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "a.yaml").write_text("not read")
    (tmp_path / ".hidden.yaml").write_text("not read")
    (tmp_path / "README.md").write_text("not read")
    (tmp_path / "a.yaml").write_text(GOOD)
    assert [file.service for file in load_rules(tmp_path).files] == ["shop"]
    assert [file.service for file in load_rules(tmp_path / "a.yaml").files] == ["shop"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: \xff\xfe\n", "is not UTF-8 text"),
        (b"#" * (LARGEST_FILE_BYTES + 1), "is larger than 256 KiB, which no rule file should be"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(RuleErrors) as caught:
        load_rules(tmp_path)
    assert str(caught.value) == f"{path}:1:1: {said}"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(load_rules(tmp_path).files) == 1


def test_a_directory_without_rule_files(tmp_path: Path) -> None:
    with pytest.raises(RuleErrors, match="holds no rule file: rule files end in"):
        load_rules(tmp_path)
    with pytest.raises(RuleErrors, match="can't be read: No such file or directory"):
        load_rules(tmp_path / "absent")


CALLS = """\
dependencies:
  stripe:
    if: error_rate > 5%
  ledger:
    if: error_rate > 2%
    workload: {namespace: ledgers, statefulset: ledger}
"""


def test_what_the_service_calls() -> None:
    stripe, ledger = parse_rule_file(GOOD + CALLS, "shop.yaml").dependencies
    assert (stripe.name, str(stripe.condition), stripe.workload) == ("stripe", "error_rate > 5%", None)
    assert ledger.workload == WorkloadKey("ledgers", "StatefulSet", "ledger")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("if: error_rate > 5%", "{}", "shop.yaml:24:5: dependency stripe lacks if"),
        ("error_rate > 5%", "eror_rate > 5%", "unknown metric eror_rate: did you mean error_rate?"),
        ("workload: {namespace: ledgers", "of: {namespace: ledgers", "unknown key of in dependency ledger"),
        (
            "namespace: ledgers, statefulset: ledger",
            "namespace: shops, deployment: shop",
            "is the service itself",
        ),
    ],
)
def test_mistakes_in_what_it_calls(before: str, after: str, said: str) -> None:
    assert [said in each for each in errors_of(GOOD + CALLS.replace(before, after))] == [True]
