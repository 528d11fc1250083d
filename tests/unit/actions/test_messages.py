"""What people read: the right words for each state, always within the limits, and the same each time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from responder.actions.messages import FAILURES, SlackMessage, digest, headline
from responder.actions.messages_blocks import cut, escape, fit
from responder.actions.messages_slack import ACTION_IDS, render_slack
from responder.incidents.decision import Choice
from responder.incidents.model import Incident, Page, Times, VerdictEntry
from responder.incidents.phases import Outcome, Phase
from responder.sandbox.inboxes.slack_checks import check_blocks
from responder.verdicts import Result
from tests.unit.actions.build import (
    ASK,
    AT,
    BAD,
    COOLDOWN,
    PAUSED,
    STILL_TRUE,
    TARGET,
    UID,
    alert,
    asking,
    incident,
    rollback,
    rule_file,
)


def said(message: SlackMessage) -> str:
    """Everything the message says, as one text."""
    return json.dumps([block for block in message.blocks if block["type"] != "actions"], ensure_ascii=False)


def buttons(message: SlackMessage) -> dict[str, dict[str, Any]]:
    return {
        element["action_id"]: element
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    }


ALL_STATES = [
    *(incident(phase=phase) for phase in Phase),
    *(incident(phase=Phase.SETTLING, outcome=outcome, rollback=rollback()) for outcome in Outcome),
    asking(),
    asking(phase=Phase.OPEN),
    asking(phase=Phase.OPEN, action="none"),
    incident(alerts={}, bad=None, target=None, rule=None, verdicts=(), message=""),
]


@pytest.mark.parametrize("state", ALL_STATES)
def test_every_state_makes_a_message_that_slack_accepts(state: Incident) -> None:
    for file in (None, rule_file()):
        message = render_slack(state, file)
        assert check_blocks([dict(block) for block in message.blocks]) == []
        assert "payment-service" in message.text


def test_each_outcome_has_a_headline_of_its_own() -> None:
    lines = {headline(incident(phase=Phase.CLOSED, outcome=outcome)) for outcome in Outcome}
    assert len(lines) == len(Outcome)


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.SUPERSEDED])
def test_what_was_put_back_is_no_good_news(outcome: Outcome) -> None:
    reverted = incident(phase=Phase.SETTLING, outcome=outcome, reason="RevertedByOwner")
    assert "reverted" in headline(reverted)


@pytest.mark.parametrize("recovered_at", [None, AT])
def test_only_what_recovered_looks_good(recovered_at: datetime | None) -> None:
    for outcome in Outcome:
        state = incident(phase=Phase.CLOSED, outcome=outcome, times=Times(recovered_at=recovered_at))
        top = json.dumps(render_slack(state, None).blocks[0])
        assert (":rotating_light:" in top) == (outcome in FAILURES)
        assert (":white_check_mark:" in top) == (recovered_at is not None and outcome not in FAILURES)


def test_the_message_carries_what_one_decides_by() -> None:
    text = said(render_slack(asking(), rule_file()))
    for part in (
        "PaymentServiceHighErrorRate",
        f"<!date^{int((AT - timedelta(minutes=1)).timestamp())}^",
        "`error_rate` 4.1%, threshold 1% (5120 samples in 5m),"
        f" since <!date^{int((AT - timedelta(minutes=6)).timestamp())}^",
        "`sum(rate(payment_errors_total[5m])) &gt; 0`",
        "From revision 7 `payment-service-7bad` `registry.example/payment:2.0.0` (release 2.0.0)",
        "To revision 6 `payment-service-6good` `registry.example/payment:1.9.3`",
        "`NotAgain` failed: It was rolled back 10m ago, inside the cooldown of 1h.",
        f"Decide until <!date^{int(ASK.expires_at.timestamp())}^",
        "kubectl -n payments get incident deployment-payment-service-3",
    ):
        assert part in text


def test_the_rest_of_the_checklist_is_small_print() -> None:
    *_, last = render_slack(asking(), rule_file()).blocks
    assert last["type"] == "context"
    text = last["elements"][0]["text"]
    assert "Checks that passed: `StillTrue`\n" in text
    assert "`responder explain payments/deployment-payment-service-3`" in text
    assert "NotAgain" not in text


def test_what_was_decided_on_is_told_beside_the_proof() -> None:
    proof = VerdictEntry(check="Endpoints", result=Result.PASSED, reason="Proven", message="All are its.")
    proven = incident(phase=Phase.VERIFYING, verdicts=(proof,), guards=(STILL_TRUE, COOLDOWN))
    *rest, last = render_slack(proven, rule_file()).blocks
    text = last["elements"][0]["text"]
    assert "Checks that passed when it was decided: `StillTrue`\nChecks that passed: `Endpoints`\n" in text
    assert "*Did not pass when it was decided*\\n• `NotAgain` failed: It was rolled back" in json.dumps(
        rest, ensure_ascii=False
    )


def test_a_dependency_is_measured_under_its_own_name() -> None:
    evidence = {"bank/error_rate": "0.2", "bank/error_rate_threshold": "0.05", "bank/error_rate_samples": "9"}
    bad = replace(COOLDOWN, check="DependenciesGood", evidence=evidence)
    text = said(render_slack(incident(verdicts=(bad,)), rule_file()))
    assert "`bank/error_rate` 20%, threshold 5% (9 samples in 5m)" in text


def test_numbers_of_a_check_that_did_not_pass_are_told_under_its_name() -> None:
    evidence = {"error_rate": "0.02", "error_rate_threshold": "0.01", "onset": AT.isoformat()}
    caused = replace(COOLDOWN, check="CausedByRollout", evidence=evidence)
    text = said(render_slack(incident(verdicts=(caused,)), rule_file()))
    told = f"`CausedByRollout` `error_rate` 2%, threshold 1%, since <!date^{int(AT.timestamp())}^"
    assert told in text
    passed = replace(caused, result=Result.PASSED)
    assert "2%, threshold" not in said(render_slack(incident(verdicts=(passed,)), rule_file()))


def test_what_was_not_measured_is_unknown() -> None:
    evidence = {"error_rate": "None", "error_rate_threshold": "0.01"}
    verdict = replace(COOLDOWN, evidence=evidence)
    text = said(render_slack(incident(verdicts=(verdict,)), rule_file()))
    assert "`error_rate` unknown, threshold 1%" in text


def test_steps_are_told_in_the_order_in_which_they_happen() -> None:
    times = Times(
        onset_at=AT,
        alerted_at=AT,
        received_at=AT,
        decided_at=AT,
        patched_at=AT,
        traffic_proven_at=AT,
        recovered_at=AT,
        closed_at=AT,
    )
    text = said(render_slack(incident(times=times), None))
    steps = ["began", "alert", "received", "decided", "patched", "traffic proven", "recovered", "closed"]
    places = [text.index(f"{step}: <!date") for step in steps]
    assert places == sorted(places)


def test_buttons_answer_the_question_that_is_shown() -> None:
    shown = buttons(render_slack(asking(), rule_file()))
    assert set(shown) == {"responder.rollback", "responder.leave"}
    check_values(shown, Choice.ROLLBACK, Choice.LEAVE)
    danger = shown[ACTION_IDS[Choice.ROLLBACK]]
    assert danger["style"] == "danger"
    assert "payment-service-6good" in danger["confirm"]["text"]["text"]
    assert "style" not in shown[ACTION_IDS[Choice.LEAVE]]


def check_values(shown: Mapping[str, Any], *choices: Choice) -> None:
    """Each button says which question it answers, and how."""
    for choice in choices:
        value = json.loads(shown[ACTION_IDS[choice]]["value"])
        assert len(value.pop("subject")) == 10
        assert len(value.pop("shown")) == len(ASK.overridable)
        assert value == {
            "namespace": "payments",
            "incident": "deployment-payment-service-3",
            "uid": UID,
            "digest": ASK.digest,
            "choice": choice.value,
        }


def test_a_button_holds_all_that_may_speak_against_it() -> None:
    """Slack refuses a value of more than 2,000 characters."""
    doubts = tuple(f"Check{n}/{'Reason' * 9}/{'0' * 10}" for n in range(40))
    ask = ASK.model_copy(update={"overridable": doubts})
    shown = buttons(render_slack(asking(ask=ask), rule_file()))
    assert len(shown[ACTION_IDS[Choice.ROLLBACK]]["value"]) < 1000


def test_a_stuck_pod_is_asked_about_during_the_proof() -> None:
    ask = ASK.model_copy(update={"action": "delete-pod", "reason": "PodStuck"})
    message = render_slack(asking(phase=Phase.VERIFYING, rollback=rollback(), ask=ask), rule_file())
    shown = buttons(message)
    assert set(shown) == {"responder.delete-pod", "responder.leave"}
    check_values(shown, Choice.DELETE_POD, Choice.LEAVE)
    assert "style" in shown["responder.delete-pod"]
    assert "delete the pod" in message.text


def test_a_told_incident_has_its_way_to_decide() -> None:
    told = asking(phase=Phase.OPEN, action="none", verdicts=(STILL_TRUE,), page=None)
    assert set(buttons(render_slack(told, rule_file()))) == {"responder.rollback", "responder.leave"}


@pytest.mark.parametrize(
    "state",
    [
        incident(),
        asking(phase=Phase.ROLLING_BACK, rollback=rollback()),
        asking(phase=Phase.VERIFYING, rollback=rollback()),
        asking(phase=Phase.CLOSED, outcome=Outcome.DECLINED),
        asking(phase=Phase.AWAITING_DECISION, outcome=Outcome.EXPIRED),
    ],
)
def test_no_buttons_where_nothing_can_be_decided(state: Incident) -> None:
    assert buttons(render_slack(state, rule_file())) == {}


def test_a_rollback_that_would_be_refused_is_not_offered() -> None:
    message = render_slack(asking(verdicts=(STILL_TRUE, PAUSED), ask=None), rule_file())
    assert buttons(message) == {}
    assert "it can't be rolled back now" in message.text
    assert "A rollback is not possible as things stand" in said(message)
    assert "`NotPaused` failed: The deployment is paused." in said(message)


def test_an_incident_that_goes_on_says_where() -> None:
    state = incident(phase=Phase.CLOSED, outcome=Outcome.ROLLED_BACK, followed_by="deployment-x-4")
    assert "Goes on as `deployment-x-4`" in said(render_slack(state, None))


def test_the_one_who_decided_on_slack_is_mentioned() -> None:
    by_person = rollback(automatic=False, by="slack:U0ANNA (anna)")
    text = said(render_slack(incident(phase=Phase.ROLLING_BACK, rollback=by_person), None))
    assert "decided by <@U0ANNA>" in text


def test_foreign_text_can_neither_mention_nor_link() -> None:
    hostile = "<!channel> <https://evil.example|look> & `*"
    state = asking(
        message=hostile,
        verdicts=(replace(COOLDOWN, message=hostile, check=hostile),),
        bad=BAD.model_copy(update={"change_cause": hostile, "images": (hostile,)}),
        page=Page(reason=hostile, message=hostile, at=AT),
        rollback=rollback(by=hostile, automatic=False),
    ).model_copy()
    state.spec.alerts["f2"] = alert(hostile, annotations={"summary": hostile})
    message = render_slack(state, rule_file(), page_trouble=hostile)
    for text in (said(message), message.text):
        assert "<!channel>" not in text
        assert "<https:" not in text
    assert "&lt;!channel&gt;" in said(message)


def test_a_record_full_to_the_brim_stays_within_the_limits() -> None:
    long = "<&> " * 2_000
    alerts = {
        f"f{n}": alert(f"{long}{n}", annotations={"summary": long}, starts_at=AT + timedelta(seconds=n))
        for n in range(64)
    }
    verdicts = tuple(
        VerdictEntry(check=f"Check{n}", result=Result.FAILED, reason="Long", message=long) for n in range(64)
    )
    revision = TARGET.model_copy(update={"images": (long,) * 20, "change_cause": long, "replica_set": long})
    state = asking(
        message=long,
        verdicts=verdicts,
        guards=verdicts,
        bad=revision,
        target=revision,
        page=Page(reason=long, message=long, at=AT),
    ).model_copy(update={"spec": incident(alerts).spec})
    message = render_slack(state, rule_file(), page_trouble=long)
    assert check_blocks([dict(block) for block in message.blocks]) == []
    assert len(message.text) < 4000
    assert "more" in said(message)
    assert "responder.rollback" in buttons(message)


def test_the_same_incident_makes_the_same_message() -> None:
    first, again = render_slack(asking(), rule_file()), render_slack(asking(), rule_file())
    assert first == again
    assert digest(first) == digest(again)
    assert digest(first) != digest(render_slack(asking(message="something else"), rule_file()))


def test_what_keeps_people_from_being_paged_is_said() -> None:
    text = said(render_slack(asking(), rule_file(), page_trouble="PagerDuty is not set up."))
    assert "Nobody was paged:* PagerDuty is not set up." in text


@pytest.mark.parametrize(
    ("text", "characters", "expected"),
    [("short", 10, "short"), ("a\n  b", 10, "a b"), ("x" * 11, 10, "x" * 9 + "…"), ("", 5, "")],
)
def test_cut(text: str, characters: int, expected: str) -> None:
    assert cut(text, characters) == expected


def test_escaping_never_cuts_an_entity_in_two() -> None:
    assert escape("&" * 600, 500) == "&amp;" * 499 + "…"


def test_fit_counts_what_it_leaves_out() -> None:
    assert fit(["a" * 10, "b" * 10, "c" * 10], 42) == f"{'a' * 10}\n{'b' * 10}\n… and 1 more"
    assert fit(["a", "b"], 42) == "a\nb"
