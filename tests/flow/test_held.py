"""Alert instances outlive incidents: a held one opens nothing until a new revision serves or it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from responder.sandbox.alertmanager.alerts import Alert
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
            await asked(here)
            assert (await here.click(LEAVE)).taken
            await here.phase("Closed", MINUTE)
            await here.rest(2 * MINUTE)
            assert len(here.incidents()) == 1, here.summary()
            # As slow as before: its alerts never end, so Alertmanager has nothing new to tell.
            here.world.release("v3", latency_p95="9s")
            await here.until(lambda: len(here.incidents()) == 2, MINUTE, "an incident for what still fires")
            await here.phase("AwaitingDecision", MINUTE, sequence=2)
            await here.rest(timedelta(seconds=20))
            assert here.status(2)["bad"]["uid"] == here.rs_uid("v3")
            assert "CausedByRollout/OnsetBeforeRollout" in here.doubts(2)
            assert here.offers(sequence=2) == [ROLL_BACK, LEAVE]
            assert here.writes() == []

    run_story(story())
