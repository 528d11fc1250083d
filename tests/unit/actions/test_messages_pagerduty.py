"""Who is paged for what, and when PagerDuty hears that it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from responder.actions.messages import FAILURES, digest
from responder.actions.messages_pagerduty import render_pagerduty
from responder.incidents.model import Incident, Page, Times
from responder.incidents.notifications import Notifications, PagerDutyState
from responder.incidents.phases import Outcome, Phase
from responder.sandbox.inboxes.pagerduty import check_event
from tests.unit.actions.build import AT, COOLDOWN, UID, alert, asking, incident, rule_file

TOLD = Notifications(pagerduty=PagerDutyState(action="trigger", digest="d"))
PAGE = Page(reason="CooldownActive", message="Somebody has to decide.", at=AT)
KEY = "k" * 32


def trigger(state: Incident) -> dict[str, Any]:
    event = render_pagerduty(state, rule_file())
    assert event is not None
    assert event.action == "trigger"
    assert event.dedup_key == UID
    assert event.payload is not None
    payload = {**event.payload, "custom_details": dict(event.custom_details)}
    sent = {"routing_key": KEY, "event_action": "trigger", "dedup_key": UID, "payload": payload}
    assert check_event(sent, KEY) == []
    return payload


def test_a_page_says_what_is_wrong_and_what_helps() -> None:
    payload = trigger(asking())
    assert payload["summary"] == (
        "Decision needed: roll back payments/payment-service? - Somebody has to decide."
    )
    assert payload["source"] == "deployment payments/payment-service"
    assert payload["severity"] == "critical"
    assert payload["class"] == "CooldownActive"
    details = payload["custom_details"]
    assert details["incident"] == "payments/deployment-payment-service-3"
    assert details["from"] == "payment-service-7bad registry.example/payment:2.0.0"
    assert details["NotAgain"].startswith("failed: It was rolled back")
    assert details["slack"] == "#payments"


RECOVERED = Times(recovered_at=AT)


@pytest.mark.parametrize(
    ("state", "paged"),
    [
        (incident(), False),
        (incident(page=PAGE), True),
        # What a rule wants and does not get is paged, whoever the rule tells otherwise.
        (incident(page=PAGE, notify=("slack",)), True),
        *((incident(outcome=outcome, page=PAGE, notify=("slack",)), True) for outcome in FAILURES),
        (incident(outcome=Outcome.DECLINED, phase=Phase.CLOSED), False),
        (incident(outcome=Outcome.ROLLED_BACK, times=RECOVERED), False),
    ],
)
def test_who_is_paged(state: Incident, paged: bool) -> None:
    event = render_pagerduty(state, rule_file())
    assert (event is not None) == paged


@pytest.mark.parametrize("outcome", list(Outcome))
def test_resolved_only_when_the_metric_was_seen_back(outcome: Outcome) -> None:
    ended = render_pagerduty(incident(outcome=outcome, page=PAGE, notifications=TOLD), None)
    assert ended is not None
    assert ended.action == "trigger"
    back = render_pagerduty(incident(outcome=outcome, page=PAGE, notifications=TOLD, times=RECOVERED), None)
    assert back is not None
    assert back.action == "resolve"


def test_a_page_is_resolved_although_nobody_knows_whether_it_arrived() -> None:
    """Its answer may have been lost, and what PagerDuty took would stay open for ever."""
    event = render_pagerduty(incident(page=PAGE, times=RECOVERED), None)
    assert event is not None
    assert (event.action, event.dedup_key) == ("resolve", UID)


def test_nothing_is_resolved_where_nobody_was_to_be_paged() -> None:
    assert render_pagerduty(incident(times=RECOVERED), None) is None


@pytest.mark.parametrize(
    ("labels", "severity"),
    [
        ({"severity": "critical"}, "critical"),
        ({"severity": "Page"}, "critical"),
        ({"severity": "warning"}, "warning"),
        ({"severity": "info"}, "info"),
        ({"severity": "purple"}, "critical"),
        ({}, "critical"),
    ],
)
def test_severity(labels: dict[str, str], severity: str) -> None:
    state = incident({"f1": alert(labels=labels)}, page=PAGE)
    assert trigger(state)["severity"] == severity


def test_the_worst_alert_counts_and_a_failure_is_always_critical() -> None:
    mild = {"f1": alert(labels={"severity": "info"}), "f2": alert(labels={"severity": "warning"})}
    assert trigger(incident(mild, page=PAGE))["severity"] == "warning"
    assert trigger(incident(mild, outcome=Outcome.ROLLBACK_FAILED, page=PAGE))["severity"] == "critical"


def test_numbers_that_move_are_no_reason_to_page_again() -> None:
    moved = replace(COOLDOWN, message="It was rolled back 11m ago.")
    before, after = render_pagerduty(asking(), None), render_pagerduty(asking(verdicts=(moved,)), None)
    assert before is not None
    assert after is not None
    assert before.custom_details != after.custom_details
    assert digest(before) == digest(after)


def test_a_new_reason_is_told() -> None:
    other = Page(reason="NotRecovered", message="It has not recovered.", at=AT)
    before, after = render_pagerduty(asking(), None), render_pagerduty(asking(page=other), None)
    assert before is not None
    assert after is not None
    assert digest(before) != digest(after)


def test_long_records_stay_within_the_limits() -> None:
    long = "long " * 1_000
    state = incident(
        {f"f{n}": alert(long, annotations={"description": long}) for n in range(64)},
        page=Page(reason=long, message=long, at=AT),
        verdicts=tuple(replace(COOLDOWN, check=f"{long}{n}") for n in range(64)),
    )
    payload = trigger(state)
    assert len(payload["summary"]) <= 1024
    assert len(payload["custom_details"]) <= 30
    assert all(len(value) <= 1000 for value in payload["custom_details"].values())
