"""After a proven rollback its echoes go on for a while: they are evidence, never a reason for anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from responder.sandbox.alertmanager.alerts import Alert
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.sandbox.prometheus.labels import labels_of
from tests.flow.harness import QUICK, SHORT, Stage, stage
from tests.shared import run_story

# The slow rules fire later than the undo: their windows still hold what v2 did.
SLOWER = {
    "metrics": {"latency_p95": {"range": "2m"}},
    "alerts": {"very-slow": {"for": "90s"}, "slow": {"for": "45s"}},
}


def firing_now(here: Stage) -> set[str]:
    """The names of the alerts that Alertmanager holds as firing."""
    return {
        dict(alert.labels)["alertname"] for manager in here.world.alertmanagers for alert in manager.alerts()
    }


def fingerprints(here: Stage) -> dict[str, str]:
    """The alerts on the first incident: fingerprint by alertname."""
    incident = here.incident()
    assert incident is not None
    return {entry["labels"]["alertname"]: key for key, entry in incident["spec"]["alerts"].items()}


def test_slower_alerts_of_the_same_release_are_echoes(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, SLOWER, **QUICK) as here:
            await here.rest(timedelta(minutes=5))
            here.world.release("v2", error_rate=0.05, latency_p95="9s")
            await here.phase("Settling", timedelta(minutes=6))
            assert here.status()["outcome"] == "RolledBack"
            proven_at = here.at("trafficProvenAt")

            def late() -> set[str]:
                """Alerts that began to fire only after traffic was proven to be back on v1."""
                incident = here.incident()
                assert incident is not None
                return {
                    entry["labels"]["alertname"]
                    for entry in incident["spec"]["alerts"].values()
                    if datetime.fromisoformat(entry["startsAt"]) > proven_at
                }

            await here.phase("Closed", timedelta(minutes=8))
            assert "PaymentServiceVerySlow" in fingerprints(here)
            assert late(), fingerprints(here)
            assert here.status().get("followedBy") is None
            await here.rest(timedelta(minutes=5))
            assert len(here.incidents()) == 1, here.summary()
            assert len(here.undos()) == 1
            assert here.world.version == "v1"
            assert set(here.world.oracle.requests_by_revision(since=proven_at)) == {here.rs_uid("v1")}
            assert len(here.world.slack.messages) == 1
            page = here.page()
            assert page is not None
            assert (page.pages, page.state) == (1, AlertState.RESOLVED)

    run_story(story())


@pytest.mark.slow
def test_an_alert_that_never_resolves_stays_held(tmp_path: Path) -> None:
    # Somebody else's rule, which the responder knows by matchers; its Prometheus never says that it ended.
    stuck = {
        "alerts": {
            "stuck": {
                "if": "error_rate > 1%",
                "match": ['alertname="PaymentErrors"'],
                "severity": "critical",
                "action": "rollback",
                "notify": ["slack", "pagerduty"],
            }
        }
    }

    async def story() -> None:
        repeat = timedelta(minutes=20)
        async with stage(
            tmp_path,
            SHORT,
            stuck,
            settings={"repeat_interval": repeat},
            replicas=3,
            scrape_interval_seconds=10.0,
            tick_seconds=3.0,
        ) as here:
            (alertmanager,) = here.world.alertmanagers
            alertmanager.route = replace(alertmanager.route, repeat_interval=repeat)
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.05)
            await here.rest(timedelta(seconds=50))
            now = here.world.clock.now()
            labels = {
                "alertname": "PaymentErrors",
                "namespace": here.world.namespace,
                "deployment": here.world.name,
            }
            alertmanager.receive([Alert(labels_of(labels), {}, now, now + timedelta(days=1), now)])
            await here.phase("Closed", timedelta(minutes=12))
            assert here.status()["outcome"] == "RolledBack"
            key = fingerprints(here)["PaymentErrors"]
            assert firing_now(here) == {"PaymentErrors"}
            assert here.record()["spec"]["held"][key].get("endsAt") is None
            before = alertmanager.notifications_sent
            await here.rest(timedelta(minutes=45))
            assert alertmanager.notifications_sent >= before + 2, "it repeats"
            assert firing_now(here) == {"PaymentErrors"}
            assert len(here.incidents()) == 1, here.summary()
            assert len(here.undos()) == 1
            assert key in here.record()["spec"]["held"]
            assert len(here.world.slack.messages) == 1

    run_story(story())
