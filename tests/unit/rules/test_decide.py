"""The judgement: which course, for which reason, and what a person's answer may do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from responder.rules.decide import Course, decide
from responder.rules.facts import Answer, Facts, Freeze, Others, Question
from responder.rules.guards.checklist import GUARDS
from responder.rules.model import Mode, OnExpiry
from responder.verdicts import Result
from tests.unit.rules.build import (
    BRAKE,
    ERRORS,
    FILE,
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

FROZEN: dict[str, Any] = {"freezes": (Freeze("everything", "audit"),)}
SILENT: dict[str, Any] = {
    "trouble": "It answered 503.",
    "measurements": measurements(measured(None), measured(None)),
}
BAD_LATENCY: dict[str, Any] = {
    "measurements": measurements(measured(0.0), measured(9.0)),
    "series": {"error_rate": series(0.0, None), "latency_p95": series(0.2, bad=9.0)},
}
HARDLY_MEASURED: dict[str, Any] = {
    "firing": (),
    "measurements": measurements(measured(0.0, samples=2, bad=0), measured(0.2, samples=2, bad=0)),
}
HARDLY_MEASURED_NOW: dict[str, Any] = {
    "measurements": measurements(measured(0.0, samples=2, bad=0), measured(9.0, samples=2, bad=2)),
}
EARLY: dict[str, Any] = {"others": Others(BRAKE, NOW, ())}
OVER: dict[str, Any] = {"firing": (), "measurements": measurements(measured(0.0), measured(0.2))}


def asked(digest: str, action: str, *overridable: str, awaited: bool = True) -> Question:
    return Question(digest, action, overridable, awaited, "uid-v2", "uid-v1")


def answered(found: Facts, *, rollback: bool, action: str = "rollback") -> Facts:
    """The same facts after people were shown them and one of them answered."""
    shown = decide(found)
    question = asked(shown.digest, action, *shown.overridable)
    return replace(found, question=question, answer=Answer(shown.digest, rollback, "slack:U0ONCALL", NOW))


COURSES: list[tuple[Facts, Course, str, bool]] = [
    (facts(), Course.ROLL_BACK, "EveryGuardPassed", False),
    (facts(**FROZEN), Course.ASK, "Frozen", True),
    (facts(**EARLY), Course.WAIT, "WaitingForOthers", False),
    (facts(**EARLY, **FROZEN), Course.ASK, "Frozen", True),
    (facts((VERY_SLOW,), **EARLY, **BAD_LATENCY), Course.ASK, "RuleAsks", True),
    (facts(**EARLY, file=replace(FILE, mode=Mode.OBSERVE)), Course.TELL, "ObserveMode", False),
    (facts(**SILENT), Course.HOLD, "PrometheusUnavailable", True),
    # What failed comes before what can't be told.
    (facts(**SILENT, **FROZEN), Course.ASK, "Frozen", True),
    (facts((SLOW,), **BAD_LATENCY), Course.TELL, "ToldOnly", False),
    (facts((SLOW, VERY_SLOW), **BAD_LATENCY), Course.ASK, "RuleAsks", True),
    # The strongest rule that fires leads, and of a rule whose alert has ended only the condition counts.
    (facts((SLOW, VERY_SLOW, ERRORS)), Course.ROLL_BACK, "EveryGuardPassed", False),
    (facts((SLOW, ERRORS), (SLOW,), **BAD_LATENCY), Course.TELL, "ToldOnly", False),
    # A rule that is measured false does not lead before one that is not, unless that one only tells.
    (facts((ERRORS, VERY_SLOW), **BAD_LATENCY), Course.ASK, "RuleAsks", True),
    (facts((SLOW, ERRORS), **BAD_LATENCY), Course.ASK, "ConditionFalse", True),
    (facts((ERRORS, VERY_SLOW), **HARDLY_MEASURED_NOW), Course.HOLD, "TooFewSamples", True),
    (facts((ERRORS, VERY_SLOW), measurements=OVER["measurements"]), Course.ASK, "ConditionFalse", True),
    (facts(**OVER), Course.RECOVERED, "Recovered", False),
    (facts((SLOW, ERRORS), **OVER), Course.RECOVERED, "Recovered", False),
    # An alert that is over proves nothing while its condition can't be measured.
    (facts(firing=(), **SILENT), Course.HOLD, "PrometheusUnavailable", True),
    (facts(firing=()), Course.HOLD, "NoAlertFires", True),
    (facts(file=replace(FILE, mode=Mode.OBSERVE)), Course.TELL, "ObserveMode", False),
    # Asked is asked: what passes later does not take it back, unless a stronger rule passes everything.
    (facts(question=asked("d", "rollback")), Course.ASK, "AwaitingDecision", True),
    (facts(question=asked("d", "rollback", awaited=False)), Course.ROLL_BACK, "EveryGuardPassed", False),
    (facts((ERRORS, VERY_SLOW), question=asked("d", "ask")), Course.ROLL_BACK, "EveryGuardPassed", False),
    (facts(question=asked("d", "rollback"), **SILENT), Course.ASK, "PrometheusUnavailable", True),
    (facts(expired=True), Course.EXPIRE, "NobodyDecided", True),
    (facts((SLOW,), expired=True, **BAD_LATENCY), Course.EXPIRE, "NobodyDecided", False),
    (facts(expired=True, **OVER), Course.RECOVERED, "Recovered", False),
    # A value that rests on a handful of samples is no recovery.
    (facts(**HARDLY_MEASURED), Course.HOLD, "TooFewSamples", True),
]


@pytest.mark.parametrize(("found", "course", "reason", "page"), COURSES)
def test_course(found: Facts, course: Course, reason: str, page: bool) -> None:
    judgement = decide(found)
    assert (judgement.course, judgement.reason, judgement.page) == (course, reason, page), judgement.message
    assert judgement.by == "responder"
    assert len(judgement.verdicts) == len(GUARDS)


@pytest.mark.parametrize(
    ("on_expiry", "changes", "course", "reason", "page"),
    [
        (OnExpiry.ROLLBACK, {}, Course.ROLL_BACK, "ExpiredIntoRollback", False),
        (OnExpiry.ROLLBACK, FROZEN, Course.EXPIRE, "Frozen", True),
        (OnExpiry.ROLLBACK, {"file": replace(FILE, mode=Mode.OBSERVE)}, Course.EXPIRE, "NobodyDecided", True),
        (OnExpiry.PAGE, {}, Course.EXPIRE, "NobodyDecided", True),
        (OnExpiry.NOTHING, {}, Course.EXPIRE, "NobodyDecided", False),
    ],
)
def test_expiry(
    on_expiry: OnExpiry, changes: dict[str, Any], course: Course, reason: str, page: bool
) -> None:
    rule = replace(VERY_SLOW, on_expiry=on_expiry)
    found = facts((rule,), expired=True, question=asked("d", "ask"), **{**BAD_LATENCY, **changes})
    judgement = decide(found)
    assert (judgement.course, judgement.reason, judgement.page) == (course, reason, page)


@pytest.mark.parametrize("found", [facts((VERY_SLOW,), **BAD_LATENCY), facts(**FROZEN), facts(**SILENT)])
def test_an_answer_overrules_what_was_shown(found: Facts) -> None:
    judgement = decide(answered(found, rollback=True))
    assert (judgement.course, judgement.reason) == (Course.ROLL_BACK, "DecidedByPerson")
    assert judgement.by == "slack:U0ONCALL"


@pytest.mark.parametrize(
    "since",
    [
        FROZEN,
        {"history": history(paused=True)},
        {"protected": "Nothing there is rolled back."},
        {"target": None},
    ],
)
def test_an_answer_overrules_nothing_else(since: dict[str, Any]) -> None:
    found = answered(facts((VERY_SLOW,), **BAD_LATENCY), rollback=True, action="ask")
    judgement = decide(replace(found, **since))
    assert (judgement.course, judgement.reason) == (Course.ASK, "SituationChanged")
    assert judgement.digest != decide(found).digest


@pytest.mark.parametrize(
    ("about", "rollback", "course", "reason"),
    [
        ({"bad": "uid-v0"}, True, Course.ASK, "SituationChanged"),
        ({"bad": "uid-v0"}, False, Course.ASK, "SituationChanged"),
        ({"target": "uid-v0"}, True, Course.ASK, "SituationChanged"),
        # Where it would have gone back to does not matter to whoever leaves it.
        ({"target": "uid-v0"}, False, Course.LEAVE, "Declined"),
    ],
)
def test_an_answer_is_about_the_revisions_that_were_shown(
    about: dict[str, Any], rollback: bool, course: Course, reason: str
) -> None:
    found = answered(facts(**FROZEN), rollback=rollback)
    assert found.question is not None
    judgement = decide(replace(found, question=replace(found.question, **about)))
    assert (judgement.course, judgement.reason) == (course, reason)


def test_an_answer_that_came_to_nothing_is_not_acted_upon_later() -> None:
    found = answered(facts(**FROZEN), rollback=True)
    assert found.answer is not None
    within = FILE.rollback.within
    in_time, too_old = (replace(found.answer, at=NOW - within - late) for late in (0 * MINUTE, MINUTE))
    assert decide(replace(found, answer=in_time)).course is Course.ROLL_BACK
    late = decide(replace(found, answer=too_old))
    assert (late.course, late.reason, late.spends_answer) == (Course.ASK, "AnswerTooOld", True)
    # The same question is put again under another digest, so that it can be answered again.
    again = decide(replace(found, answer=None, answers_spent=1))
    assert late.digest == again.digest != decide(facts(**FROZEN)).digest


def test_mode_observe_acts_for_nobody() -> None:
    found = answered(facts(**FROZEN), rollback=True)
    judgement = decide(replace(found, file=replace(FILE, mode=Mode.OBSERVE)))
    assert (judgement.course, judgement.reason) == (Course.TELL, "ObserveMode")


@pytest.mark.parametrize(
    "changes", [{"history": history(paused=True)}, {"protected": "Never."}, {"target": None}]
)
def test_what_nobody_may_overrule_is_not_offered(changes: dict[str, Any]) -> None:
    judgement = decide(facts(**changes))
    assert judgement.course is Course.ASK
    assert not judgement.possible
    refused = decide(answered(facts(**changes), rollback=True))
    assert refused.reason == "SituationChanged"


def test_leaving_it_counts_for_what_was_shown() -> None:
    told = facts((SLOW,), **BAD_LATENCY)
    found = answered(told, rollback=False, action="none")
    assert decide(found).course is Course.LEAVE
    worse = replace(found, rules=(SLOW, VERY_SLOW), firing=(SLOW, VERY_SLOW))
    judgement = decide(worse)
    assert (judgement.course, judgement.reason) == (Course.ASK, "SituationChanged")
    assert VERY_SLOW.id in judgement.message


def test_the_digest_is_of_what_a_person_decides_about() -> None:
    base = decide(facts()).digest
    assert decide(facts(now=NOW.replace(second=30))).digest == base
    assert decide(facts(measurements=measurements(measured(0.08), measured(0.3)))).digest == base
    different = [
        facts(**FROZEN),
        facts(target=None),
        facts(incident="another"),
        facts((SLOW,)),
    ]
    assert len({base, *(decide(each).digest for each in different)}) == 5


@pytest.mark.parametrize(
    "since", [("everything", "migration"), ("namespace payments", "audit"), ("everything", "")]
)
def test_an_answer_overrules_no_freeze_but_the_one_shown(since: tuple[str, str]) -> None:
    found = answered(facts(**FROZEN), rollback=True)
    assert decide(found).course is Course.ROLL_BACK
    for freezes in ((Freeze(*since),), (*found.freezes, Freeze(*since))):
        later = decide(replace(found, freezes=freezes))
        assert (later.course, later.reason) == (Course.ASK, "SituationChanged")
        assert later.digest != decide(found).digest


def test_only_overridable_verdicts_are_offered() -> None:
    judgement = decide(facts(**FROZEN, **SILENT))
    assert [each.rsplit("/", 1)[0] for each in judgement.overridable if "Frozen" in each] == [
        "NotFrozen/Frozen"
    ]
    assert [each for each in judgement.overridable if "Frozen" not in each] == [
        f"{check}/PrometheusUnavailable" for check in ("StillTrue", "NewPodsWorse", "NotOneNode")
    ]
    assert judgement.possible
    assert [v.check for v in judgement.verdicts if v.result is Result.FAILED] == ["NotFrozen"]


def test_a_person_need_not_wait_for_other_workloads() -> None:
    early = facts(**EARLY, **FROZEN)
    assert [each for each in decide(early).overridable if "NoStorm" in each] == []
    assert decide(early).digest == decide(facts(**FROZEN)).digest
    assert decide(answered(early, rollback=True)).course is Course.ROLL_BACK
