"""The same proof through the real client and a real socket."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import yaml

from responder.clients.kubernetes import connect
from responder.sandbox.cluster import Cluster
from responder.sandbox.virtual_time import LoopClock
from responder.verdicts import Result
from responder.verification.prove_traffic import TrafficProof, prove_traffic
from responder.verification.snapshot import Snapshot, gather_snapshot
from tests.shared import run_story
from tests.unit.verification.cluster import START, roll_back


def test_traffic_is_proven_and_nothing_is_read_of_a_deployment_that_is_not_there(tmp_path: Path) -> None:
    async def story() -> tuple[TrafficProof, Snapshot | None, Snapshot | None]:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            path = tmp_path / "kubeconfig"
            path.write_text(yaml.safe_dump(cluster.kubeconfig()), encoding="utf-8")
            kubernetes = await connect(path, clock=cluster.clock)
            try:
                rollback = await roll_back(cluster)
                proof = await prove_traffic(
                    kubernetes,
                    cluster.clock,
                    rollback.claim,
                    deadline_at=rollback.undone_at + timedelta(minutes=5),
                    hold=None,
                )
                key = rollback.claim.key
                here = await gather_snapshot(kubernetes, key)
                elsewhere = await gather_snapshot(kubernetes, replace(key, name="nothing"))
            finally:
                await kubernetes.close()
            return proof, here, elsewhere

    proof, here, elsewhere = run_story(story())
    assert (proof.result, proof.reason) == (Result.PASSED, "TrafficProven"), proof.message
    assert proof.hold_seconds >= 31
    assert here is not None
    assert here.settled
    assert (len(here.history.revisions), len(here.pods), len(here.services)) == (2, 3, 1)
    assert elsewhere is None
