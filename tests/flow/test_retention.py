"""A month later: the incident and the answer to it are gone, and what must not happen twice is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from responder.app import running
from responder.clock import Clock
from responder.incidents.model import CLOSED_ON_LABEL, OPEN_LABEL, WORKLOAD_LABEL
from tests.flow.harness import INCIDENTS, LEAVE, QUICK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
MONTH = timedelta(days=31)
DECISIONS = "decisions.responder.dev"


@dataclass(frozen=True, slots=True)
class Later:
    """A clock that is ahead of the world's: a month of traffic would take too long to simulate."""

    clock: Clock
    ahead: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


def test_a_month_later(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            assert (await here.click(LEAVE)).taken
            await here.phase("Closed", MINUTE)
            (decision,) = here.world.cluster.store.list(DECISIONS, here.world.namespace)
            held = here.record()["spec"]["held"]
            await here.rest(MINUTE)
            await here.stop()
            async with running(here.settings, Later(here.world.clock, timedelta(days=29))) as app:
                await here.until(lambda: app.leading and app.readiness().ready, MINUTE, "ready again")
                await here.rest(2 * MINUTE)
                assert len(here.incidents()) == 1
                assert here.world.cluster.store.list(DECISIONS, here.world.namespace) == [decision]
            async with running(here.settings, Later(here.world.clock, MONTH)) as app:
                await here.until(lambda: here.incidents() == [], 2 * MINUTE, "the incident gone")
                await here.until(
                    lambda: here.world.cluster.store.list(DECISIONS, here.world.namespace) == [],
                    MINUTE,
                    "the answer to it gone",
                )
                # The alert has fired ever since: the reconcile finds it without an incident every minute.
                await here.rest(5 * MINUTE)
                assert here.incidents() == []
                assert here.record()["spec"]["held"].keys() == held.keys()
                assert here.record()["spec"]["nextSequence"] == 2
                assert app.readiness().ready

    run_story(story())


def test_a_start_reads_no_incident_that_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, alone=False, **QUICK) as here:
            for number in range(20):
                here.world.cluster.store.create(INCIDENTS, over(here, number), manager="responder")
            await here.start()
            await here.rest(timedelta(seconds=45))
            read = [
                request.query.get("labelSelector")
                for request in here.world.cluster.log
                if request.method == "GET" and "/incidents" in request.path
            ]
            # Of a workload without a record the names of its own are read.
            others = [each for each in read if each != f"{OPEN_LABEL}=true"]
            assert [each for each in others if not str(each).startswith(f"{WORKLOAD_LABEL}=")] == []

    run_story(story())


def over(here: Stage, number: int) -> dict[str, Any]:
    """A closed incident as it is left behind."""
    now = here.world.clock.now()
    return {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "Incident",
        "metadata": {
            "name": f"deployment-another-{number}",
            "namespace": here.world.namespace,
            "labels": {CLOSED_ON_LABEL: now.date().isoformat()},
        },
        "spec": {
            "workload": {"kind": "Deployment", "name": "another"},
            "sequence": number + 1,
            "receivedAt": now.isoformat(),
            "alerts": {},
        },
        "status": {"phase": "Closed", "outcome": "Recovered", "times": {"closedAt": now.isoformat()}},
    }
