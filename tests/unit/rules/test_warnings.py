"""What a rule file may say but hardly means: told with its place, and the file is used as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.rules.load import load_rules, parse_rule_file
from responder.sandbox.demo.rules import write_demo_rules
from tests.shared import CHECKOUT
from tests.unit.rules.test_load import GOOD

QUERY = "sum(rate(errors{$selector}[$range]))"
FAILED = 'sum(rate(requests{$selector,code=~"5.."}[$range]))'
ALL = "sum(rate(requests{$selector}[$range]))"


def warnings_of(text: str) -> list[str]:
    return [str(each) for each in parse_rule_file(text, "shop.yaml").warnings]


def test_nothing_is_said_of_what_is_meant() -> None:
    assert warnings_of(GOOD) == []
    assert [file.warnings for file in load_rules(CHECKOUT / "rules").files] == [()]


def test_a_query_without_data_while_nothing_fails() -> None:
    (said,) = warnings_of(GOOD.replace(QUERY, f"{FAILED} / {ALL}"))
    assert said == (
        'shop.yaml:11:40: warning: query: has no data while no series matches code=~"5..", so that nothing'
        " shows that it was good before a rollout or is again after one: write (... or vector(0)) around the"
        " part that counts them"
    )


@pytest.mark.parametrize(
    ("query", "warned"),
    [
        (f"{FAILED} / {ALL}", True),
        (f"100 * ({FAILED} / {ALL})", True),
        (f'1 - sum(rate(requests{{$selector,code!~"5.."}}[$range])) / {ALL}', True),
        (f"-{FAILED}", True),
        ('sum(increase((requests{$selector,code="500"})[$range:1m]))', True),
        # Only what stands beside the `or` is guarded, not what it is divided by.
        (f"({FAILED} or vector(0)) / {FAILED}", True),
        (f"({FAILED} or vector(0)) / {ALL}", False),
        (f"{FAILED} / {ALL} or vector(0)", False),
        (f"{QUERY} / {ALL}", False),
        # One of the histogram's buckets, which are all there from the first observation on.
        (
            '1 - sum(rate(d_bucket{$selector,le="0.5"}[$range])) / sum(rate(d_count{$selector}[$range]))',
            False,
        ),
    ],
)
def test_which_queries_can_be_without_data(query: str, warned: bool) -> None:
    assert bool(warnings_of(GOOD.replace(QUERY, f"'{query}'"))) is warned


def test_what_samples_count_as_well_is_no_narrowing() -> None:
    both = GOOD.replace("errors{$selector}", 'errors{$selector,job="shop"}')
    assert len(warnings_of(both)) == 1
    assert warnings_of(both.replace("requests{$selector}", 'requests{$selector,job="shop"}')) == []


def test_a_duration_has_no_value_without_samples() -> None:
    latency = GOOD.replace("unit: ratio", "unit: seconds").replace("> 1%", "> 1s")
    assert warnings_of(latency.replace("errors{$selector}", 'errors{$selector,code="200"}')) == []


@pytest.mark.parametrize(
    ("workload", "action", "said"),
    [
        ("{namespace: shops, statefulset: shop}", "rollback", "a StatefulSet is never rolled back"),
        ("{namespace: shops, daemonset: shop}", "ask", "a DaemonSet is never rolled back"),
        ("{namespace: kube-system, deployment: dns}", "ask", "namespace kube-system is protected"),
        ("{namespace: shops, statefulset: shop}", "none", None),
        ("{namespace: kube-system, deployment: dns}", "none", None),
        ("{namespace: kubernetes-shops, deployment: shop}", "rollback", None),
    ],
)
def test_what_is_never_rolled_back(workload: str, action: str, said: str | None) -> None:
    text = GOOD.replace("{namespace: shops, deployment: shop}", workload).replace("rollback\n", f"{action}\n")
    found = warnings_of(text)
    assert len(found) == (said is not None)
    if said is not None:
        assert found[0].startswith(f"shop.yaml:18:13: warning: action: {said}")
        assert found[0].endswith(f"so {action} only pages a person; action: none just tells")


@pytest.mark.parametrize("key", ["on_expiry: page", "decide_within: 1h"])
def test_what_only_a_question_needs(key: str) -> None:
    asking = GOOD.replace("    for: 5m", f"    for: 5m\n    {key}")
    assert warnings_of(asking) == []
    name = key.split(":")[0]
    assert warnings_of(asking.replace("action: rollback", "action: none")) == [
        f"shop.yaml:17:5: warning: {name} does nothing with action: none, where nobody is asked"
    ]


@pytest.mark.parametrize(("recover_within", "warned"), [("2m", True), ("3m", True), ("4m", False)])
def test_a_time_for_recovery_that_no_proof_fits_into(recover_within: str, warned: bool) -> None:
    """Each good window adds an onset_range, a minute here."""
    policy = f"rollback: {{recover_within: {recover_within}}}"
    found = warnings_of(GOOD.replace("rollback: {window: 24h}", policy))
    assert bool(found) is warned
    if warned:
        assert "its 3 good windows, an onset_range each, take 3m" in found[0]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            "{window: 1h, caused_within: 2h}",
            "20:39: warning: caused_within: 2h is longer than the window, 1h,",
        ),
        ("{caused_within: 25h}", "warning: caused_within: 25h is longer than the window, 24h,"),
        ("{window: 1h, caused_within: 1h}", None),
        # What nobody wrote is nobody's mistake.
        ("{window: 30m}", None),
    ],
)
def test_a_cause_that_may_come_after_the_window(policy: str, said: str | None) -> None:
    check_policy(policy, said)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("{clean_gap: 59s}", "warning: clean_gap: 59s is shorter than the onset_range of error_rate, 1m:"),
        ("{clean_gap: 0s}", "warning: clean_gap: 0s is shorter than the onset_range of error_rate, 1m:"),
        ("{clean_gap: 1m}", None),
    ],
)
def test_a_clean_gap_that_no_value_lies_in(policy: str, said: str | None) -> None:
    check_policy(policy, said)


def check_policy(policy: str, said: str | None) -> None:
    found = warnings_of(GOOD.replace("{window: 24h}", policy))
    assert [said is not None and said in each for each in found] == ([] if said is None else [True])


def test_nothing_is_said_of_the_sandbox_and_the_demo(tmp_path: Path) -> None:
    quick = CHECKOUT / "responder/sandbox/scenarios/quick-rules.yaml"
    assert [file.warnings for file in load_rules(quick).files] == [()]
    assert write_demo_rules(tmp_path / "rules").warnings == ()
