"""Which rules an alert stands for, which action wins, and how long echoes can come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from responder.rules.load import parse_rule_file
from responder.rules.model import Action, RuleFile, RuleSet, strongest
from responder.workloads.key import WorkloadKey


def _file(service: str, workload: str, alerts: str) -> RuleFile:
    text = f"""
apiVersion: responder.dev/v1alpha1
kind: RuleFile
service: {service}
workload: {workload}
metrics:
  rate: {{unit: ratio, range: 5m, query: &query "a{{$selector}} offset $range", samples: *query}}
  slow: {{unit: seconds, range: 20m, query: *query, samples: *query}}
alerts:
{alerts}
"""
    return parse_rule_file(text, f"{service}.yaml")


SHOP = _file(
    "shop",
    "{namespace: shops, deployment: shop}",
    """
  errors: {if: rate > 1%, for: 5m, severity: critical, action: rollback, notify: [slack]}
  foreign: {if: rate > 2%, match: 'alertname="Bad"', severity: critical, action: ask, notify: [slack]}
  paging: {if: rate > 3%, match: 'severity=~"page|critical"', severity: info, action: ask, notify: [slack]}
""",
)
STORE = _file(
    "store",
    "{namespace: shops, statefulset: store}",
    "  errors: {if: rate > 1% OR slow > 2s, for: 10m, severity: error, action: none, notify: [slack]}",
)
RULES = RuleSet((SHOP, STORE))
OF_SHOP = {"namespace": "shops", "deployment": "shop"}


@pytest.mark.parametrize(
    ("labels", "ids"),
    [
        ({**OF_SHOP, "responder_rule": "shop/errors"}, ["shop/errors"]),
        # The label decides, also where matchers would match.
        ({**OF_SHOP, "responder_rule": "shop/errors", "alertname": "Bad"}, ["shop/errors"]),
        ({**OF_SHOP, "alertname": "Bad"}, ["shop/foreign"]),
        ({**OF_SHOP, "alertname": "Bad", "severity": "page"}, ["shop/foreign", "shop/paging"]),
        # A rule that is gone meanwhile.
        ({**OF_SHOP, "responder_rule": "shop/gone", "alertname": "Bad"}, ["shop/foreign"]),
        ({**OF_SHOP, "alertname": "Other"}, []),
        ({"namespace": "shops", "statefulset": "store", "responder_rule": "store/errors"}, ["store/errors"]),
        # Not of the rule's workload, or of none.
        ({"namespace": "shops", "statefulset": "store", "responder_rule": "shop/errors"}, []),
        ({"namespace": "shops", "statefulset": "store", "alertname": "Bad"}, []),
        ({"namespace": "other", "deployment": "shop", "alertname": "Bad"}, []),
        ({"responder_rule": "shop/errors"}, []),
        ({"alertname": "Bad"}, []),
        ({}, []),
    ],
)
def test_match(labels: dict[str, str], ids: list[str]) -> None:
    assert [rule.id for rule in RULES.match(labels)] == ids
    assert RULES.match_any([labels, {}, labels]) == RULES.match(labels)


def test_finds_files() -> None:
    shop, store = SHOP.workload, STORE.workload
    assert RULES.workloads() == (shop, store)
    assert RULES.file_for(store) is STORE
    assert RULES.file_for(WorkloadKey("shops", "Deployment", "store")) is None
    assert all(RULES.file_of(rule) is file for file in RULES.files for rule in file.rules)


def test_names_of_alerts() -> None:
    assert [rule.alert_name for rule in SHOP.rules] == ["ShopErrors", "ShopForeign", "ShopPaging"]


def test_selectors() -> None:
    assert SHOP.selector == {"namespace": "shops", "deployment": "shop"}
    assert STORE.selector == {"namespace": "shops", "statefulset": "store"}


def test_the_slowest_rule_settles_last() -> None:
    # 20m of latency's range and 10m of `for`, then 10s of grouping and 30s of scrape and evaluation.
    assert STORE.settle_time == timedelta(minutes=30, seconds=40)
    given = replace(STORE, rollback=replace(STORE.rollback, settle=timedelta()))
    assert given.settle_time == timedelta()


@pytest.mark.parametrize(
    ("actions", "winner"),
    [
        ([], Action.NONE),
        ([Action.NONE], Action.NONE),
        ([Action.ASK, Action.NONE], Action.ASK),
        ([Action.ASK, Action.ROLLBACK, Action.NONE], Action.ROLLBACK),
    ],
)
def test_the_strongest_action_wins(actions: list[Action], winner: Action) -> None:
    assert strongest(actions) is winner
