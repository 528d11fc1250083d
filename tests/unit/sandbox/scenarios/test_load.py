"""Scenario files: the example reads, and every mistake is told with its line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from responder.rules.load import load_rules
from responder.sandbox.scenarios.actions import Action, Fault, Release
from responder.sandbox.scenarios.load import EXAMPLE, ScenarioError, load_scenario
from responder.sandbox.scenarios.model import Workload

HEAD = "apiVersion: responder.dev/v1alpha1\nkind: SandboxScenario\n"
WORKLOAD = "workloads:\n  - {namespace: shop, name: cart}\n"


def load(folder: Path, text: str) -> str:
    """The message that the text is refused with; empty when it is taken."""
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_scenario(path)
    except ScenarioError as error:
        return str(error).replace(f"{path}:", "")
    return ""


def test_the_example_reads() -> None:
    scenario = load_scenario(EXAMPLE)
    assert [each.place for each in scenario.workloads] == ["payments/payment-service", "payments/ledger"]
    first, second = scenario.events[0], scenario.events[1]
    assert (first.at, type(first.action)) == (timedelta(minutes=2), Release)
    assert isinstance(second.action, Fault)
    assert second.action.lasts == timedelta(minutes=10)
    assert scenario.rules is not None
    (rules,) = load_rules(EXAMPLE.parent / scenario.rules).files
    # Its first release has past enough to be rolled back by these.
    assert rules.rollback.clean_gap + max(each.range for each in rules.metrics.values()) < first.at


def test_the_tour_has_every_kind_of_event_and_everything_a_workload_may_say() -> None:
    scenario = load_scenario(EXAMPLE.with_name("tour.yaml"))
    assert {type(each.action) for each in scenario.events} == set(get_args(Action))
    said = set().union(*(each.model_fields_set for each in (*scenario.workloads, scenario.events[1].action)))
    assert said >= Workload.model_fields.keys() - {"never_ready"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD, "1: workloads: is needed, and is not there"),
        (HEAD + "workloads: []\n", "1: a scenario has at least one of workloads"),
        (HEAD + "workloads:\n  - name: Cart\n", "4: workloads.0.name: String should match pattern"),
        (
            HEAD + "workloads:\n  - name: cart\n    replics: 3\n",
            "5: workloads.0.replics: is no key here; did you mean replicas?",
        ),
        (
            HEAD + "workloads:\n  - name: cart\n    latencyP95: fast\n",
            "5: workloads.0.latencyP95: 'fast' is no latency: write one such as 120ms or 4s",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 30\n    scale: {workload: shop/cart, replicas: 1}\n",
            "6: events.0.at: write a duration with its unit",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 30s\n",
            "6: events.0: an event has exactly one of release, scale",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 1s\n    scale: {workload: shop/card, replicas: 1}\n",
            "6: events.0: there is no workload shop/card: the workloads are shop/cart",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 1s\n    fault: {effect: explode}\n",
            "7: events.0.fault.effect: Input should be 'refuse', 'delay'",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 1s\n    webhook: {sidecar: 'proxy:1', deny: 'no'}\n",
            "7: events.0.webhook: a webhook has either deny",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 1s\n    outage: {of: api, kind: slow, for: 5s}\n",
            "7: events.0.outage: only prometheus can be slow",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 1s\n    outage: {of: api, losesData: true, for: 5s}\n",
            "7: events.0.outage: only a Prometheus or an Alertmanager that is down can lose its data",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 1s\n    unreachable: {pods: '(', for: 5s}\n",
            "7: events.0.unreachable.pods: '(' is no regular expression",
        ),
        (
            HEAD + WORKLOAD + "events:\n  - at: 1s\n    relase: {workload: shop/cart, version: v2}\n",
            "7: events.0.relase: is no key here; did you mean release?",
        ),
        # A key elsewhere, which is never proposed in place of itself.
        (HEAD + "workload: {}\n" + WORKLOAD, "3: workload: is no key here; did you mean workloads?"),
        (HEAD + "xyz: 1\n" + WORKLOAD, "3: xyz: is no key here; take it out"),
        (HEAD + "workloads: [\n", "4: is no YAML"),
        ("just words", "1: Input should be"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, expected: str, tmp_path: Path) -> None:
    assert load(tmp_path, text).startswith(expected)


def test_a_rule_file_is_told_to_be_one_and_nothing_else(tmp_path: Path) -> None:
    rules = EXAMPLE.with_name("quick-rules.yaml").read_text(encoding="utf-8")
    (line,) = [number for number, each in enumerate(rules.splitlines(), 1) if each.startswith("kind:")]
    assert load(tmp_path, rules) == (
        f"{line}: kind: this is a rule file: give it by --rules, and a file of kind SandboxScenario as the"
        " scenario"
    )


def test_another_kind_is_told_alone(tmp_path: Path) -> None:
    said = load(tmp_path, "apiVersion: apps/v1\nkind: Deployment\nspec: {}\n")
    assert said == "2: kind: 'Deployment' is no kind known here: write SandboxScenario"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    message = load(tmp_path, HEAD + "workloads:\n  - name: A\n  - name: b\n    replicas: -1\n")
    assert [line.partition(":")[0] for line in message.splitlines()] == ["4", "6"]


def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: can't be read"):
        load_scenario(tmp_path / "nowhere.yaml")
