"""Deliveries come twice, late or not at all: one incident, one undo all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from responder.sandbox.alertmanager.alerts import Alert
from responder.sandbox.prometheus.labels import labels_of
from responder.sandbox.world import HOME
from tests.flow.harness import INCIDENTS, QUICK, SHORT, Stage, stage
from tests.flow.test_vanished import frozen
from tests.shared import run_story

MINUTE = timedelta(minutes=1)


def test_two_of_them_deliver_everything_twice(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, alertmanagers=2, **QUICK) as here:
            await here.rest(4 * MINUTE)
            here.world.release("v2", error_rate=0.05, latency_p95="9s")
            await here.phase("Closed", 12 * MINUTE)
            assert here.status()["outcome"] == "RolledBack"
            assert all(manager.notifications_sent >= 3 for manager in here.world.alertmanagers)
            await here.rest(3 * MINUTE)
            assert len(here.incidents()) == 1, here.summary()
            assert len(here.undos()) == 1
            assert len(here.world.slack.messages) == 1
            page = here.page()
            assert page is not None
            assert page.pages == 1

    run_story(story())


def deliver_nowhere(here: Stage) -> None:
    """From now on nothing that Alertmanager sends arrives."""
    (manager,) = here.world.alertmanagers
    nowhere = replace(manager.route.receiver, url=f"{here.world.inboxes_url}/nowhere")
    manager.route = replace(manager.route, receiver=nowhere)


def test_a_delivery_that_got_lost_is_found(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            (manager,) = here.world.alertmanagers
            deliver_nowhere(here)
            await here.rest(4 * MINUTE)
            await here.stop()
            here.world.release("v2", error_rate=0.05)
            await here.rest(2 * MINUTE)
            assert manager.alerts() != []
            assert here.incidents() == []
            await here.start()
            await here.phase("Settling", 4 * MINUTE)
            assert manager.notifications_sent == 0
            assert here.status()["outcome"] == "RolledBack"
            assert len(here.undos()) == 1
            # The end of the alert is not delivered either.
            await here.phase("Closed", 8 * MINUTE)
            assert len(here.incidents()) == 1, here.summary()

    run_story(story())


def test_an_alert_that_fires_anew_after_an_end_that_nobody_was_told_is_another_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await frozen(here)
            deliver_nowhere(here)
            here.degrade("v2", error_rate=0.0)
            await here.phase("Closed", 4 * MINUTE)
            assert here.status()["outcome"] == "Recovered"
            (held,) = here.record()["spec"]["held"].values()
            assert "endsAt" not in held
            here.degrade("v2", error_rate=0.3)
            await here.until(lambda: len(here.incidents()) == 2, 4 * MINUTE, "an incident for what is new")
            (manager,) = here.world.alertmanagers
            assert manager.notifications_failed > 0

    run_story(story())


def unattributed(here: Stage) -> list[dict[str, object]]:
    """The incidents of alerts that no rule file speaks of."""
    return here.world.cluster.store.list(INCIDENTS, HOME)


def test_an_alert_of_nobody_is_told_and_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        settings = {"repeat_interval": 4 * MINUTE}
        async with stage(
            tmp_path, SHORT, settings=settings, scrape_interval_seconds=15.0, replicas=2
        ) as here:
            (manager,) = here.world.alertmanagers
            now = here.world.clock.now()
            labels = {"alertname": "DiskFull", "namespace": "storage", "responder": "true"}
            alert = Alert(labels_of(labels), {}, now, now + 3 * MINUTE, now)
            manager.receive([alert])
            await here.rest(MINUTE)
            (message,) = here.world.slack.messages
            assert "DiskFull" in message.current.text
            assert here.world.pagerduty.alerts == {}
            await here.rest(5 * MINUTE)
            (incident,) = unattributed(here)
            assert incident["status"]["outcome"] == "Told"  # type: ignore[index]
            (record,) = here.world.cluster.store.list("workloadrecords.responder.dev", HOME)
            assert alert.fingerprint in record["spec"]["held"]
            await here.rest(6 * MINUTE)
            (record,) = here.world.cluster.store.list("workloadrecords.responder.dev", HOME)
            assert record["spec"]["held"] == {}
            assert len(here.world.slack.messages) == 1
            assert here.writes() == []

    run_story(story())
