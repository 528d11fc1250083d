"""A rule that asks: a person decides in Slack, once, on what stands now, and only if they may."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from responder.sandbox.api.faults import Delay, FaultRule
from responder.sandbox.inboxes.slack_clicks import sign
from responder.sandbox.world import SIGNING_SECRET
from responder.workloads.views import FREEZE
from tests.flow.harness import LEAVE, ONCALL, OTHER, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.shared import run_story

DECIDERS = {"slack": {"deciders": [ONCALL.id]}}


async def asked(here: Stage) -> None:
    """Release a very slow version and wait until a person was asked and paged."""
    await here.rest(timedelta(minutes=4))
    here.world.release("v2", latency_p95="9s")
    await here.reason("RuleAsks", timedelta(minutes=5))
    await here.rest(timedelta(seconds=5))
    assert here.status()["phase"] == "AwaitingDecision"
    assert here.status()["rule"] == "payment-service/very-slow"
    assert here.offers() == [ROLL_BACK, LEAVE]
    page = here.page()
    assert page is not None
    assert (page.pages, page.state) == (1, "triggered")
    assert here.writes() == []


async def asked_while_frozen(here: Stage) -> dict[str, Any]:
    """Release a version that fails while a freeze stands; returns the question that people are asked."""
    here.annotate_workload(FREEZE, "audit")
    await here.rest(timedelta(minutes=4))
    here.world.release("v2", error_rate=0.05)
    status = await here.phase("AwaitingDecision", timedelta(minutes=5))
    return dict(status["ask"])


async def rolls_back(here: Stage, shown: int) -> None:
    """Whoever clicks on that version of the message has it rolled back."""
    assert (await here.click(ROLL_BACK, version=shown)).taken
    await here.phase("Settling", timedelta(minutes=5))
    assert here.status()["outcome"] == "RolledBack"


async def post(here: Stage, payload: dict[str, Any], **headers: str) -> int:
    """Send an interaction with these headers, as anybody can; returns the answer's status."""
    body = urlencode({"payload": json.dumps(payload)})
    for name, value in headers.items():
        if value == "signed":
            headers[name] = sign(SIGNING_SECRET, headers["X_Slack_Request_Timestamp"], body)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent["Content-Type"] = "application/x-www-form-urlencoded"
    url = f"{here.world.responder_url}/slack/interactions"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=sent) as answer:
        return answer.status


def decisions(here: Stage) -> list[dict[str, Any]]:
    """Every answer that was stored."""
    return here.world.cluster.store.list("decisions.responder.dev", here.world.namespace)


def test_a_click_rolls_back_and_is_the_only_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            # So that the second click comes before the first has led to anything.
            here.world.cluster.faults.add(FaultRule("PATCH", "/deployments/", Delay(1.0), count=1))
            assert (await here.click(ROLL_BACK)).taken
            assert (await here.click(LEAVE, OTHER)).taken
            assert here.told() == ["Recorded: roll back."]
            assert "decided first" in here.told(OTHER)[0]
            await here.phase("Settling", timedelta(minutes=5))
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", False)
            assert here.world.version == "v1"
            assert len(here.undos()) == 1
            assert len(decisions(here)) == 1
            assert set(here.world.oracle.requests_by_revision(since=here.at("trafficProvenAt"))) == {
                here.rs_uid("v1")
            }
            await here.phase("Closed", timedelta(minutes=6))
            page = here.page()
            assert page is not None
            assert (page.pages, page.state) == (1, "resolved")
            shown = max(n for n in range(len(here.message().versions)) if here.offers(version=n))
            assert (await here.click(ROLL_BACK, OTHER, version=shown)).taken
            assert "nothing to decide" in here.told(OTHER)[-1]

    run_story(story())


def test_clicks_that_decide_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, DECIDERS, **QUICK) as here:
            await asked(here)
            # On screen since before it was that bad: the message told of p95 above 3s.
            told = next(n for n in range(9) if "only tells" in here.message().versions[n].text)
            assert here.offers(version=told) == [ROLL_BACK, LEAVE]
            assert (await here.click(LEAVE, version=told)).taken
            assert "situation has changed" in here.told()[-1]
            assert (await here.click(ROLL_BACK, OTHER)).taken
            assert "You may not decide" in here.told(OTHER)[-1]

            hands = here.world.inboxes.hands
            assert hands is not None
            payload = hands.payload(here.message(), ROLL_BACK, ONCALL)
            now = int(here.world.clock.now().timestamp())
            stamp = {"X_Slack_Request_Timestamp": str(now)}
            old = {"X_Slack_Request_Timestamp": str(now - 301)}
            assert await post(here, payload) == 401
            assert await post(here, payload, **stamp) == 401
            assert await post(here, payload, **stamp, X_Slack_Signature=f"v0={'0' * 64}") == 401
            assert await post(here, payload, **old, X_Slack_Signature="signed") == 401

            await here.rest(timedelta(seconds=30))
            assert here.status()["phase"] == "AwaitingDecision"
            assert decisions(here) == []
            assert here.writes() == []

    run_story(story())


@pytest.mark.slow
def test_a_question_stays_the_same_while_numbers_move(tmp_path: Path) -> None:
    """Else a click would be overtaken at each look."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            first = await asked_while_frozen(here)
            shown = len(here.message().versions) - 1
            for _ in range(20):
                await here.rest(timedelta(seconds=17))
                assert here.status()["ask"] == first, here.summary()
            await rolls_back(here, shown)

    run_story(story())


@pytest.mark.slow
def test_a_click_is_not_overtaken_by_doubts_that_went(tmp_path: Path) -> None:
    """A Prometheus that comes and goes changes what speaks against a rollback with each look."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            first = await asked_while_frozen(here)
            here.answering(False)
            await here.until(
                lambda: here.status()["ask"]["digest"] != first["digest"], timedelta(minutes=1), "new"
            )
            await here.rest(timedelta(seconds=5))
            shown = len(here.message().versions) - 1
            here.answering(True)
            await here.until(
                lambda: here.status()["ask"]["digest"] == first["digest"], timedelta(minutes=1), "gone"
            )
            await rolls_back(here, shown)
            (decision,) = decisions(here)
            assert decision["spec"]["digest"] == first["digest"]

    run_story(story())
