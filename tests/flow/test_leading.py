"""Of two replicas one acts, and says so in its metrics, by which somebody is paged when nobody does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import aiohttp

from responder.app import running
from tests.flow.harness import QUICK, SHORT, stage
from tests.shared import run_story


async def says_it_leads(url: str) -> bool:
    """What a replica's metrics say."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    (value,) = [
        line.removeprefix("responder_leading ") for line in lines if line.startswith("responder_leading ")
    ]
    return float(value) == 1


def test_one_replica_says_it_leads_and_the_other_once_the_first_has_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            more = here.settings.model_copy(update={"listen": "127.0.0.1:0", "identity": "another"})
            async with running(more, here.world.clock) as other:
                await here.rest(timedelta(seconds=30))
                assert (await says_it_leads(here.app.url), await says_it_leads(other.url)) == (True, False)
                assert other.readiness().ready
                await here.stop()
                await here.until(lambda: other.leading, timedelta(seconds=5), "the other leads")
                assert await says_it_leads(other.url)

    run_story(story())
