"""Of two replicas one acts, and says so in its metrics, by which somebody is paged when nobody does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import aiohttp

from responder.app import App, running
from responder.pipeline.elect import LEASE_NAME
from responder.sandbox.world import HOME
from tests.flow.harness import LEAVE, QUICK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
LEASES = "leases.coordination.k8s.io"


async def says(url: str, metric: str) -> float:
    """What a replica's metrics say."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    (value,) = [line.removeprefix(f"{metric} ") for line in lines if line.startswith(f"{metric} ")]
    return float(value)


async def says_it_leads(url: str) -> bool:
    return await says(url, "responder_leading") == 1


def says_who_leads(app: App) -> str:
    (said,) = [check.message for check in app.readiness().checks if check.name == "leader"]
    return said


async def says_open(url: str) -> float:
    return await says(url, "responder_open_incidents")


def test_one_replica_says_it_leads_and_the_other_once_the_first_has_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            more = here.settings.model_copy(update={"listen": "127.0.0.1:0", "identity": "another"})
            async with running(more, here.world.clock) as other:
                await here.rest(timedelta(seconds=30))
                assert (await says_it_leads(here.app.url), await says_it_leads(other.url)) == (True, False)
                assert other.readiness().ready
                mine, others = (each.elector.identity for each in (here.app, other))
                assert says_who_leads(here.app) == f"{mine} leads (this replica)"
                assert says_who_leads(other) == f"{mine} leads; this replica is {others}"
                await here.stop()
                await here.until(lambda: other.leading, timedelta(seconds=5), "the other leads")
                assert await says_it_leads(other.url)

    run_story(story())


def test_a_namespace_that_may_not_be_watched_is_shown_and_holds_up_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, alone=False, **QUICK) as here:
            file = tmp_path / "rules" / "payment-service.yaml"
            other = file.read_text().replace("namespace: payments", "namespace: elsewhere")
            file.with_name("other.yaml").write_text(other.replace("payment-service", "other-service"))
            # There the account of the responder has no rights.
            async with running(here.settings, here.world.clock) as app:
                await here.until(lambda: app.leading and app.readiness().ready, MINUTE / 2, "ready")
                await here.rest(timedelta(seconds=5))
                (check,) = (each for each in app.readiness().checks if each.name == "revisions")
                assert check.ok
                assert "elsewhere" in check.message
                assert await says(app.url, "responder_unwatched_workloads") == 1
                # The other one is rolled back as ever.
                await here.rest(4 * MINUTE)
                here.world.release("v2", error_rate=0.06)
                await here.phase("Settling", 5 * MINUTE)

    run_story(story())


def test_both_replicas_know_how_many_incidents_are_open_whoever_leads(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            more = here.settings.model_copy(update={"listen": "127.0.0.1:0", "identity": "another"})
            async with running(more, here.world.clock) as other:
                await asked(here)
                assert (await says_open(here.app.url), await says_open(other.url)) == (1, 1)
                await steal_lease(here)
                await here.until(lambda: not here.app.leading, timedelta(seconds=15), "the term is over")
                assert (await says_open(here.app.url), await says_open(other.url)) == (1, 1)
                await here.until(
                    lambda: here.app.leading or other.leading, timedelta(minutes=1), "one leads again"
                )
                assert (await here.click(LEAVE)).taken
                await here.phase("Closed", timedelta(minutes=1))
                await here.rest(timedelta(seconds=2))
                assert (await says_open(here.app.url), await says_open(other.url)) == (0, 0)

    run_story(story())


async def steal_lease(here: Stage) -> None:
    """Write somebody else's name into the Lease, as a person may."""
    store = here.world.cluster.store
    lease = store.get(LEASES, HOME, LEASE_NAME)
    assert lease is not None
    lease["spec"]["holderIdentity"] = "somebody"
    store.update(LEASES, lease, manager="kubectl")
