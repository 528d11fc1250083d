"""A pod of the bad revision that the target adopts goes on serving the bad code: that is no proof."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.flow.harness import SHORT, Stage, stage
from tests.shared import run_story


def relabel_one_bad_pod(here: Stage) -> None:
    """Give a pod of v2 the hash of v1, as one does in looking for a fault: v1 adopts it."""
    store, namespace = here.world.cluster.store, here.world.namespace
    (good,) = (
        rs["metadata"]["labels"]["pod-template-hash"]
        for rs in store.list("replicasets.apps", namespace)
        if rs["metadata"]["uid"] == here.rs_uid("v1")
    )
    pod = next(
        pod
        for pod in store.list("pods", namespace)
        if pod["metadata"]["ownerReferences"][0]["uid"] == here.rs_uid("v2")
        and "deletionTimestamp" not in pod["metadata"]
    )
    pod["metadata"]["labels"]["pod-template-hash"] = good
    store.update("pods", pod, manager="kubectl")


def test_an_adopted_pod_of_the_bad_revision_is_no_proof(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, replicas=3, scrape_interval_seconds=10.0) as here:
            await here.rest(timedelta(minutes=3))
            here.world.release("v2", error_rate=0.1)
            await here.phase("Verifying", timedelta(minutes=4))
            relabel_one_bad_pod(here)
            status = await here.phase("Settling", timedelta(minutes=12))
            assert status["outcome"] == "TrafficNotProven", status["message"]
            assert "adopted" in status["message"]
            # The oracle agrees: v2 still answers.
            assert here.rs_uid("v2") in here.world.oracle.requests_by_revision(
                since=here.world.clock.now() - timedelta(seconds=30)
            )

    run_story(story())
