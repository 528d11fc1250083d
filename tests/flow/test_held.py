"""Alert instances outlive incidents: a held one opens nothing until a new revision serves or it ends."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox.alertmanager.alerts import Alert
from responder.sandbox.api.faults import Delay, DropBefore, FaultRule
from responder.sandbox.api.store import Event
from responder.sandbox.prometheus.labels import labels_of
from tests.flow.harness import LEAVE, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.shared import run_story

MINUTE = timedelta(minutes=1)

# Somebody else's rule, which the responder knows by matchers.
FOREIGN: dict[str, Any] = {
    "alerts": {
        "foreign": {
            "if": "error_rate > 1%",
            "match": ['alertname="PaymentErrors"'],
            "severity": "critical",
            "action": "rollback",
            "notify": ["slack", "pagerduty"],
        }
    }
}


async def left(here: Stage) -> None:
    """Somebody is asked and lets it be: the incident is over, and what fires on is held."""
    await asked(here)
    assert (await here.click(LEAVE)).taken
    await here.phase("Closed", MINUTE)


async def asked_again(here: Stage) -> None:
    """What is held opens the next incident."""
    await here.until(lambda: len(here.incidents()) == 2, MINUTE, "an incident for what still fires")
    await here.phase("AwaitingDecision", MINUTE, sequence=2)


def foreign(here: Stage, *, lasts: timedelta) -> str:
    """Let the foreign alert fire for so long; returns its fingerprint."""
    now = here.world.clock.now()
    labels = {"alertname": "PaymentErrors", "namespace": here.world.namespace, "deployment": here.world.name}
    alert = Alert(labels_of(labels), {}, now, now + lasts, now)
    here.world.alertmanagers[0].receive([alert])
    return alert.fingerprint


def ended(here: Stage, key: str) -> datetime:
    """The latest end that is remembered of the alert."""
    return datetime.fromisoformat(here.record()["spec"]["held"][key]["endsAt"])


def test_an_alert_that_flapped_is_one_instance_until_it_ends(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, FOREIGN, **QUICK) as here:
            await here.rest(timedelta(minutes=3, seconds=30))
            here.world.release("v2", error_rate=0.05)
            await here.rest(timedelta(seconds=40))
            key = foreign(here, lasts=MINUTE)
            await here.phase("Settling", 4 * MINUTE)
            await here.until(lambda: not here.fires(key), 2 * MINUTE, "the first instance over")
            foreign(here, lasts=timedelta(minutes=12))
            await here.until(lambda: here.fires(key), MINUTE, "the second instance")
            await here.phase("Closed", 6 * MINUTE)
            # The reconcile looks at it every minute.
            await here.rest(3 * MINUTE)
            assert len(here.incidents()) == 1, here.summary()
            closed_at = here.at("closedAt")
            await here.until(lambda: ended(here, key) > closed_at, 12 * MINUTE, "the end of what is held")
            foreign(here, lasts=MINUTE)
            await here.until(lambda: len(here.incidents()) == 2, MINUTE, "a new instance, a new incident")
            assert len(here.undos()) == 1

    run_story(story())


def test_a_new_revision_makes_a_held_alert_matter_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await left(here)
            await here.rest(2 * MINUTE)
            assert len(here.incidents()) == 1, here.summary()
            # As slow as before: its alerts never end, so Alertmanager has nothing new to tell.
            here.world.release("v3", latency_p95="9s")
            await asked_again(here)
            await here.rest(timedelta(seconds=20))
            assert here.status(2)["bad"]["uid"] == here.rs_uid("v3")
            assert "CausedByRollout/OnsetBeforeRollout" in here.doubts(2)
            assert here.offers(sequence=2) == [ROLL_BACK, LEAVE]
            assert here.writes() == []

    run_story(story())


def serves(here: Stage, version: str) -> bool:
    """Whether the ledger says that the version began to serve."""
    servings = here.record()["spec"].get("servings", [])
    return any(each["revision"]["images"][0].endswith(f":{version}") for each in servings)


def test_a_leader_that_dies_having_written_that_a_new_revision_serves_loses_no_held_alert(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await left(here)
            await here.rest(2 * MINUTE)
            written = asyncio.Event()

            def note(event: Event) -> None:
                if event.resource.key.startswith("workloadrecords") and serves(here, "v3"):
                    written.set()

            unsubscribe = here.world.cluster.store.subscribe(note)
            here.world.release("v3", latency_p95="9s")
            await written.wait()
            # Nothing that it sends from here on arrives.
            here.world.cluster.faults.add(FaultRule("*", ".", DropBefore()))
            await here.stop()
            unsubscribe()
            here.world.cluster.faults.clear()
            await here.rest(timedelta(seconds=16))
            await here.start()
            await asked_again(here)

    run_story(story())


@pytest.mark.parametrize("slow_seconds", [5, 8])
def test_a_revision_that_begins_to_serve_while_its_incident_closes_is_heard_of(
    tmp_path: Path, slow_seconds: int
) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            held = asyncio.Event()

            def note(event: Event) -> None:
                if event.resource.key.startswith("workloadrecords") and event.object["spec"].get("held"):
                    held.set()

            unsubscribe = here.world.cluster.store.subscribe(note)
            slow = FaultRule("PATCH", "/incidents/.*/status", Delay(slow_seconds))
            assert (await here.click(LEAVE)).taken
            await held.wait()
            here.world.cluster.faults.add(slow)
            here.world.release("v3", latency_p95="9s")
            await here.phase("Closed", MINUTE)
            unsubscribe()
            here.world.cluster.faults.clear()
            await asked_again(here)
            assert here.status(2)["bad"]["uid"] == here.rs_uid("v3")

    run_story(story())


def test_pods_that_are_back_from_an_outage_make_no_held_alert_matter_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await left(here)
            here.scale(0)
            await here.rest(timedelta(seconds=20))
            here.scale(3)
            await here.rest(3 * MINUTE)
            await here.stop()
            await here.start()
            await here.rest(2 * MINUTE)
            assert len(here.incidents()) == 1, here.summary()

    run_story(story())


def test_a_revision_of_which_the_ledger_is_not_written_yet_is_waited_for(tmp_path: Path) -> None:
    """It serves just before the time for echoes is over, and whoever closes the incident did not judge it."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, FOREIGN, **QUICK) as here:
            await here.rest(timedelta(minutes=3, seconds=30))
            here.world.release("v2", error_rate=0.05)
            await here.rest(timedelta(seconds=40))
            foreign(here, lasts=40 * MINUTE)
            await here.phase("Settling", 4 * MINUTE)
            left = here.at("settleUntil") - here.world.clock.now()
            await here.rest(left - timedelta(seconds=3))
            here.world.cluster.faults.add(FaultRule("PATCH", "/workloadrecords/", Delay(6)))
            here.world.release("v3")
            await here.phase("Closed", MINUTE)
            here.world.cluster.faults.clear()
            await here.until(lambda: len(here.incidents()) == 2, MINUTE, "an incident for what still fires")
            await here.phase("AwaitingDecision", MINUTE, sequence=2)
            assert here.status(2)["bad"]["uid"] == here.rs_uid("v3")

    run_story(story())


def test_a_revision_that_began_while_an_undo_became_too_late_is_judged(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(4 * MINUTE)
            # But not its dry run.
            here.world.cluster.faults.add(FaultRule("PATCH", "/deployments/[^?]*$", DropBefore()))
            here.world.release("v2", error_rate=0.3)
            await here.phase("RollingBack", 3 * MINUTE)
            await here.stop()
            here.world.cluster.faults.clear()
            here.world.release("v3", error_rate=0.3)
            await here.rest(8 * MINUTE)
            await here.start()
            await here.phase("Closed", MINUTE)
            assert (here.status()["outcome"], here.status()["reason"]) == ("RollbackFailed", "UndoTooLate")
            await here.phase("AwaitingDecision", MINUTE, sequence=2)
            assert here.status(2)["bad"]["uid"] == here.rs_uid("v3")

    run_story(story())
