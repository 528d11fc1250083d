"""Rule files as Prometheus rules and Alertmanager routes; the committed ones are what is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.errors import Permanent
from responder.rules.findings import RuleErrors
from responder.rules.load import parse_rule_file
from responder.rules.model import RuleFile, RuleSet
from responder.rules.render import (
    Receivers,
    find_stale,
    render_alertmanager,
    render_prometheus_rules,
    write_rendered,
)

CHECKOUT = Path(__file__).parents[3]

TEXT = """
apiVersion: responder.dev/v1alpha1
kind: RuleFile
service: shop
workload: {namespace: shops, statefulset: shop}
metrics:
  rate: {unit: ratio, range: 90s, query: "a{$selector} offset $range", samples: "b{$selector} offset $range"}
  queue: {unit: count, range: 1m, query: "q{$selector} offset $range", samples: "b{$selector} offset $range"}
alerts:
  errors: {if: rate > 1%, for: 2m, severity: critical, action: rollback, notify: [slack]}
  both: {if: rate > 1% AND (queue >= 10 OR rate > 5%), for: 0s, severity: error, action: ask, notify: [slack]}
  long: {if: queue > 3, for: 1m, severity: warning, action: none, notify: [slack]}
  foreign: {if: rate > 2%, match: [alertname=Bad, team!=x], severity: info, action: ask, notify: [slack]}
"""


@pytest.fixture
def file() -> RuleFile:
    return parse_rule_file(TEXT, "shop.yaml")


def _alerts(file: RuleFile) -> dict[str, Any]:
    rendered: Any = render_prometheus_rules(file)
    (group,) = rendered["groups"]
    assert group["name"] == "shop"
    return {alert["alert"]: alert for alert in group["rules"]}


def test_one_alert_a_rule_but_for_foreign_ones(file: RuleFile) -> None:
    assert list(_alerts(file)) == ["ShopErrors", "ShopBoth", "ShopLong"]


def test_an_alert(file: RuleFile) -> None:
    assert _alerts(file)["ShopErrors"] == {
        "alert": "ShopErrors",
        "expr": '(a{namespace="shops",statefulset="shop"} offset 1m30s) > 0.01',
        "for": "2m",
        "labels": {
            "severity": "critical",
            "namespace": "shops",
            "statefulset": "shop",
            "responder_rule": "shop/errors",
        },
        "annotations": {
            "summary": "shop: rate > 1%",
            "description": "statefulset shops/shop: rate is {{ $value | humanizePercentage }};"
            " the rule is rate > 1% for 2m.",
        },
    }


def test_a_condition_of_several_parts(file: RuleFile) -> None:
    alert = _alerts(file)["ShopBoth"]
    of = 'namespace="shops",statefulset="shop"'
    rate, queue = f"(a{{{of}}} offset 1m30s)", f"(q{{{of}}} offset 1m)"
    assert alert["expr"] == f"({rate} > 0.01) and on() (({queue} >= 10) or on() ({rate} > 0.05))"
    assert alert["annotations"]["description"] == (
        "statefulset shops/shop: rate > 1% AND (queue >= 10 OR rate > 5%) for 0s."
    )


def test_the_value_is_written_in_its_unit(file: RuleFile) -> None:
    assert "queue is {{ $value | humanize }};" in _alerts(file)["ShopLong"]["annotations"]["description"]


def test_foreign_alerts_are_routed_for_their_workload_only(file: RuleFile) -> None:
    config: Any = render_alertmanager(RuleSet((file,)), Receivers())
    routes = config["route"]["routes"]
    assert [(route["receiver"], route["matchers"]) for route in routes] == [
        ("pagerduty-fallback", ['responder_fallback="pagerduty"']),
        ("responder", ['responder_rule=~".+"']),
        ("responder", ['namespace="shops"', 'statefulset="shop"', 'alertname="Bad"', 'team!="x"']),
    ]


def test_the_responders_route_waits_for_nothing_and_loses_nothing(file: RuleFile) -> None:
    config: Any = render_alertmanager(
        RuleSet((file,)), Receivers(webhook_url="http://here/", webhook_token_file="/token")
    )
    for route in config["route"]["routes"][1:]:
        assert route["group_by"] == ["namespace", "deployment", "alertname"]
        assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("0s", "10s", "4h")
    (responder,) = [each for each in config["receivers"] if each["name"] == "responder"]
    assert responder["webhook_configs"] == [
        {
            "url": "http://here/",
            "send_resolved": True,
            "max_alerts": 0,
            "http_config": {"authorization": {"type": "Bearer", "credentials_file": "/token"}},
        }
    ]


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1/v2/enqueue"])
def test_pagerduty_can_be_somewhere_else(file: RuleFile, url: str | None) -> None:
    config: Any = render_alertmanager(
        RuleSet((file,)), Receivers(pagerduty_key_file="/key", pagerduty_url=url)
    )
    (pagerduty,) = config["receivers"][2]["pagerduty_configs"]
    assert pagerduty["routing_key_file"] == "/key"
    assert pagerduty.get("url") == url


def test_the_committed_files_are_what_is_rendered(tmp_path: Path) -> None:
    written = write_rendered(CHECKOUT / "rules", tmp_path)
    names = [path.relative_to(tmp_path) for path in written]
    assert [str(name) for name in names] == [
        "prometheus/rules/payment-service.yml",
        "alertmanager/alertmanager.yml",
    ]
    for name in names:
        assert (CHECKOUT / name).read_text() == (tmp_path / name).read_text(), "run `responder rules render`"


def test_the_header_names_the_folder_it_was_made_from(tmp_path: Path) -> None:
    own = tmp_path / "r2"
    own.mkdir()
    (own / "shop.yaml").write_text(TEXT)
    for given in (own, own / "shop.yaml"):
        first, alertmanager = write_rendered(given, tmp_path / "out")
        assert first.read_text().startswith("# Written by `responder rules render` from r2/shop.yaml: edit")
        assert "from the files in r2/: edit" in alertmanager.read_text()


def test_what_somebody_else_wrote_is_left_unless_forced(tmp_path: Path) -> None:
    own = tmp_path / "alertmanager" / "alertmanager.yml"
    own.parent.mkdir()
    own.write_text("route: {receiver: me}\n")
    with pytest.raises(Permanent, match=f"^{own}: not written by .* or --force to overwrite$"):
        write_rendered(CHECKOUT / "rules", tmp_path)
    assert own.read_text() == "route: {receiver: me}\n"
    assert not (tmp_path / "prometheus").exists()

    write_rendered(CHECKOUT / "rules", tmp_path, force=True)
    assert own.read_text() == (CHECKOUT / "alertmanager" / "alertmanager.yml").read_text()


def test_what_was_rendered_before_is_overwritten(tmp_path: Path) -> None:
    written = write_rendered(CHECKOUT / "rules", tmp_path)
    for path in written:
        path.write_text(path.read_text() + "# of an older version\n")
    assert write_rendered(CHECKOUT / "rules", tmp_path) == written
    assert not any("older" in path.read_text() for path in written)


def test_what_an_earlier_rendering_left_is_found(tmp_path: Path, file: RuleFile) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "shop.yaml").write_text(TEXT)
    (rules / "gone.yaml").write_text((CHECKOUT / "rules" / "payment-service.yaml").read_text())
    assert find_stale(tmp_path, write_rendered(rules, tmp_path)) == ()
    folder = tmp_path / "prometheus" / "rules"
    (folder / "mine.yml").write_text("groups: []\n")

    (rules / "gone.yaml").unlink()
    assert find_stale(tmp_path, write_rendered(rules, tmp_path)) == (folder / "payment-service.yml",)


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(Permanent) as caught:
        write_rendered(CHECKOUT / "rules", tmp_path / "out")
    assert str(caught.value).startswith(f"can't write {tmp_path}/out")
    assert str(caught.value).endswith("Not a directory. Give --out a folder that can be written to")


def test_nothing_is_written_from_wrong_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.yaml").write_text(TEXT.replace("1%", "1s"))
    with pytest.raises(RuleErrors):
        write_rendered(rules, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_alert_has_a_unit_test() -> None:
    names, tested = set(), set()
    for path in (CHECKOUT / "prometheus" / "rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            names |= {rule["alert"] for rule in group["rules"]}
    for path in (CHECKOUT / "prometheus" / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            tested |= {each["alertname"] for each in test["alert_rule_test"] if each.get("exp_alerts")}
    assert tested == names


def test_both_prometheus_configurations_relabel_alike() -> None:
    def without_discovery(name: str) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load((CHECKOUT / "prometheus" / name).read_text())
        jobs = {job["job_name"]: job for job in config.pop("scrape_configs")}
        assert list(jobs) == ["pods", "responder", "alertmanager"]
        pods = {key: value for key, value in jobs["pods"].items() if not key.endswith("_sd_configs")}
        return {**config, "pods": pods, "alertmanager": jobs["alertmanager"]}

    assert without_discovery("prometheus.yml") == without_discovery("in-cluster.yml")
