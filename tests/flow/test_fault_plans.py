"""Faults and disturbances drawn from a seed, all over one incident: it ends as it would have without them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.api.fault_plan import draw_plan
from responder.tasks import alongside
from tests.flow.harness import SHORT, stage
from tests.shared import run_story

LASTS = timedelta(minutes=4)
SEEDS = [100, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(101, 160))]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_undo_and_a_true_proof_whatever_goes_wrong_meanwhile(tmp_path: Path, seed: int) -> None:
    async def main() -> None:
        async with stage(tmp_path, SHORT, replicas=2, scrape_interval_seconds=10.0) as here:
            await here.rest(timedelta(minutes=3))
            here.world.release("v2", error_rate=0.1)
            cluster = here.world.cluster
            plan = draw_plan(seed, here.world.clock.now(), LASTS, rules=50, disturbances=4)
            async with alongside(cluster.play(plan)):
                status = await here.phase("Settling", timedelta(minutes=20))
                hits = "\n".join(cluster.faults.record())
                assert status["outcome"] == "RolledBack", hits
                assert here.versions == ["v1", "v2", "v1"], hits
                assert len(here.incidents()) == 1, hits
                served = here.world.oracle.requests_by_revision(since=here.at("trafficProvenAt"))
                assert set(served) == {here.rs_uid("v1")}, hits
                assert hits

    run_story(main())
