"""What a judgement leaves in the status: the question and its clock, the page, the timeline."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from responder.incidents import advance
from responder.incidents.model import (
    MAX_TIMELINE,
    AlertEntry,
    Incident,
    IncidentSpec,
    Metadata,
    Status,
    WorkloadRef,
)
from responder.incidents.phases import Outcome, Phase
from responder.rules.decide import decide
from responder.rules.facts import Facts, Freeze, Question
from responder.rules.model import Mode
from responder.verdicts import failed, passed
from tests.unit.rules.build import (
    ERRORS,
    FILE,
    HOUR,
    MINUTE,
    NOW,
    SLOW,
    VERY_SLOW,
    facts,
    history,
    measured,
    measurements,
    series,
)

FROZEN = (Freeze("everything", "audit"),)
SILENT = measurements(measured(None), measured(None))
OVER = measurements(measured(0.0), measured(0.2))


def incident(status: Status | None = None) -> Incident:
    return Incident(
        metadata=Metadata(
            name="i-1", namespace="payments", uid="u", resource_version="1", creation_timestamp=NOW
        ),
        spec=IncidentSpec(
            workload=WorkloadRef(kind="Deployment", name="app"),
            sequence=1,
            received_at=NOW,
            alerts={"f1": AlertEntry(labels={}, starts_at=NOW - MINUTE)},
        ),
        status=status or Status(),
    )


def test_only_what_the_trouble_was_put_down_to_is_blamed() -> None:
    status = judge(facts(freezes=FROZEN))
    assert status.blamed == ("uid-v2",)
    assert judge(facts(freezes=FROZEN), status).blamed == ("uid-v2",)
    # After a person's own undo the condition holds for a while: an echo, already true before.
    before = {**facts().series, "error_rate": series(0.05)}
    assert judge(facts(series=before)).blamed == ()
    assert judge(facts(measurements=OVER)).blamed == ()


def judge(found: Facts, status: Status | None = None, after: timedelta = timedelta()) -> Status:
    """The status after that judgement of an incident in that status."""
    return advance.judged(incident(status), decide(found), FILE, NOW + after)


def asked_of(status: Status) -> tuple[timedelta, timedelta, str]:
    """When it was asked, until when, and what: as the test's clock counts."""
    assert status.ask is not None
    return status.ask.asked_at - NOW, status.ask.expires_at - NOW, status.ask.action


def test_told_offers_for_a_day() -> None:
    status = judge(facts((SLOW,)))
    assert (status.phase, status.page) == (Phase.OPEN, None)
    assert asked_of(status) == (timedelta(), 24 * HOUR, "none")
    later = judge(facts((SLOW,)), status, MINUTE)
    assert asked_of(later) == asked_of(status)


def test_a_question_has_as_long_as_its_rule_says_from_when_it_is_put() -> None:
    told = judge(facts((SLOW,)))
    put = judge(facts((SLOW, VERY_SLOW)), told, 5 * MINUTE)
    assert put.phase is Phase.AWAITING_DECISION
    assert asked_of(put) == (5 * MINUTE, 35 * MINUTE, "ask")
    # It changes, and keeps its clock.
    changed = judge(facts((SLOW, VERY_SLOW), freezes=FROZEN), put, 7 * MINUTE)
    assert changed.ask is not None
    assert put.ask is not None
    assert changed.ask.digest != put.ask.digest
    assert asked_of(changed) == asked_of(put)
    # The worse of the two rules is over: the question stands, with the same clock.
    milder = judge(facts((SLOW,)), changed, 8 * MINUTE)
    assert milder.phase is Phase.AWAITING_DECISION
    assert asked_of(milder)[:2] == asked_of(put)[:2]


@pytest.mark.parametrize(
    ("found", "action"),
    [
        # A guard of the stronger rule fails: that is people's to decide as well.
        (facts((VERY_SLOW, ERRORS), freezes=FROZEN), "rollback"),
        # It only can't tell: the stronger rule may still become automatic.
        (facts((VERY_SLOW, ERRORS), measurements=SILENT), "ask"),
        (facts((VERY_SLOW,)), "ask"),
    ],
)
def test_what_is_put_to_people(found: Facts, action: str) -> None:
    put = judge(facts((VERY_SLOW,)))
    awaited = Question("d", "ask", (), True, "uid-v2", "uid-v1")
    assert asked_of(judge(replace(found, question=awaited), put, MINUTE))[2] == action


def test_the_strongest_that_was_put_to_people_stays() -> None:
    put = judge(facts(freezes=FROZEN))
    assert asked_of(put)[2] == "rollback"
    milder = judge(facts((VERY_SLOW,)), put, MINUTE)
    assert asked_of(milder)[2] == "rollback"


def test_nothing_is_asked_that_could_not_be_done() -> None:
    status = judge(facts(history=history(paused=True)))
    assert (status.phase, status.ask) == (Phase.AWAITING_DECISION, None)
    assert status.page is not None
    assert status.page.reason == "Paused"


def test_mode_observe_offers_nothing() -> None:
    watching = replace(FILE, mode=Mode.OBSERVE)
    status = advance.judged(incident(), decide(facts(file=watching)), watching, NOW)
    assert (status.phase, status.ask) == (Phase.OPEN, None)


def test_somebody_is_paged_once_a_reason() -> None:
    held = judge(facts(measurements=SILENT))
    assert held.page is not None
    assert (held.phase, held.page.at) == (Phase.OPEN, NOW)
    again = judge(facts(measurements=SILENT), held, MINUTE)
    assert again.page == held.page
    other = judge(facts(freezes=FROZEN), again, 2 * MINUTE)
    assert other.page is not None
    assert (other.page.reason, other.page.at) == ("Frozen", NOW + 2 * MINUTE)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (facts(firing=(), measurements=OVER), Outcome.RECOVERED),
        (facts((SLOW,), firing=(), measurements=OVER), Outcome.TOLD),
        (facts(expired=True), Outcome.EXPIRED),
        (facts((SLOW,), expired=True), Outcome.TOLD),
    ],
)
def test_the_end_has_an_outcome_a_time_and_no_question(found: Facts, outcome: Outcome) -> None:
    status = judge(found, judge(facts((SLOW,))), MINUTE)
    assert (status.phase, status.outcome, status.ask) == (Phase.CLOSED, outcome, None)
    assert status.times.closed_at == NOW + MINUTE
    recovered = [("Recovered", "True")] if status.times.recovered_at else []
    assert [(c.type, c.status) for c in status.conditions] == [*recovered, ("Closed", "True")]
    assert bool(recovered) is not found.expired


def test_a_decision_to_roll_back_asks_nothing_and_has_a_time() -> None:
    status = judge(facts(), judge(facts(measurements=SILENT)), MINUTE)
    assert (status.phase, status.ask) == (Phase.ROLLING_BACK, None)
    assert status.times.decided_at == NOW + MINUTE
    assert status.times.alerted_at == NOW - MINUTE


def test_the_timeline_tells_changes_and_keeps_its_beginning() -> None:
    status = judge(facts(measurements=SILENT))
    assert judge(facts(measurements=SILENT), status, MINUTE).timeline == status.timeline
    for n in range(2 * MAX_TIMELINE):
        status = advance.noted(status, NOW, "Event", str(n))
    assert len(status.timeline) == MAX_TIMELINE
    assert status.timeline[0].event == "Hold"
    assert status.timeline[-1].message == str(2 * MAX_TIMELINE - 1)


def test_a_voided_attempt_goes_back_to_judging_and_the_next_has_another_fence() -> None:
    found = facts()
    assert found.history is not None
    judgement, deployment = decide(found), found.history.workload
    first = advance.intended(incident(), judge(found), judgement, deployment, FILE, NOW)
    assert first.rollback is not None
    assert (first.rollback.attempt, first.rollback.automatic) == (1, True)
    voided = advance.voided(first, "Frozen", "Rollbacks were frozen.", NOW)
    assert voided.rollback is not None
    assert (voided.phase, voided.rollback.state) == (Phase.OPEN, "Voided")
    second = advance.intended(incident(voided), judge(found, voided), judgement, deployment, FILE, NOW)
    assert second.rollback is not None
    assert (second.rollback.attempt, second.rollback.state) == (2, "Intended")
    assert incident().fence(1) != incident().fence(2)


def test_what_it_was_decided_on_stays_beside_the_proof() -> None:
    found = facts()
    assert found.history is not None
    first = judge(found)
    assert (len(first.verdicts) > 10, first.guards) == (True, ())
    judgement, deployment = decide(found), found.history.workload
    status = advance.intended(incident(), first, judgement, deployment, FILE, NOW)
    status = advance.applied(status, 7, NOW, MINUTE)
    proven = advance.traffic_proven(status, (passed("Endpoints", "Proven", "all"),), "all", NOW)
    assert ([each.check for each in proven.verdicts], proven.guards) == (["Endpoints"], first.verdicts)
    over, checks = passed("Recovery", "Recovered", "good"), (passed("error_rate", "Good", "0"),)
    ended = advance.ended(proven, Outcome.ROLLED_BACK, over, checks, NOW, NOW)
    assert ([each.check for each in ended.verdicts], ended.guards) == (["error_rate"], first.verdicts)
    # So it does where traffic was never proven, and where nothing took the guards' place.
    late, some = failed("Traffic", "Late", "no"), (failed("Endpoints", "Old", "old ones serve"),)
    ended = advance.ended(status, Outcome.TRAFFIC_NOT_PROVEN, late, some, NOW, NOW)
    assert ([each.check for each in ended.verdicts], ended.guards) == (["Endpoints"], first.verdicts)
    ended = advance.ended(status, Outcome.TRAFFIC_NOT_PROVEN, late, (), NOW, NOW)
    assert (ended.verdicts, ended.guards) == (first.verdicts, ())
