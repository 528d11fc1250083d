"""The proof of a rollback: what delays it, what sets it back, and each way in which it does not come.

The oracle is the judge: once traffic is said to be proven, no request goes to the bad revision any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.sandbox.api.admission import Mutating
from responder.sandbox.api.faults import Delay, FaultRule
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.sandbox.outage import Outage
from responder.sandbox.world import ERROR_RATE, image
from responder.workloads.views import FREEZE
from tests.flow.harness import DEPLOYMENTS, ROLL_BACK, SHORT, Stage, stage
from tests.shared import run_story

Story = Callable[[Stage], Awaitable[None]]

SOON = timedelta(minutes=3)
IMPATIENT: dict[str, Any] = {"rollback": {"within": "90s"}}
PATIENT = timedelta(minutes=12)
# Three failed probes, ten seconds apart, and one second for the last: the readiness probe of the world.
HOLD = timedelta(seconds=31)


def play(tmp_path: Path, story: Story, *changes: dict[str, Any], **plan: Any) -> None:
    """Run the story on a small world whose first version has served healthily for a while."""

    async def main() -> None:
        world = {"replicas": 3, "scrape_interval_seconds": 10.0, **plan}
        async with stage(tmp_path, SHORT, *changes, **world) as here:
            await here.rest(timedelta(minutes=3))
            await story(here)

    run_story(main())


async def undone(here: Stage, **behaviour: str) -> None:
    """Release a bad v2 and wait until it is rolled back, not yet proven."""
    here.world.release("v2", error_rate=0.1, **behaviour)
    await here.phase("Verifying", SOON)


async def proven(here: Stage) -> None:
    """Wait for the good end, and ask the oracle whether it is true."""
    status = await here.phase("Settling", PATIENT)
    assert status["outcome"] == "RolledBack", here.summary()
    served = here.world.oracle.requests_by_revision(since=here.at("trafficProvenAt"))
    assert set(served) == {here.rs_uid("v1")}


async def ended(here: Stage, outcome: str, **conditions: str) -> str:
    """Wait for an outcome that is not the good one: told, paged and never resolved. Returns the message."""
    status = await here.phase("Settling", PATIENT)
    assert status["outcome"] == outcome, here.summary()
    found = {each["type"]: each["status"] for each in status["conditions"]}
    assert found == conditions
    page = here.page()
    assert page is not None
    await here.until(lambda: page.events[-1].payload["class"] == status["reason"], SOON, "paged")
    assert page.events[-1].payload["severity"] == "critical"
    await here.rest(timedelta(minutes=1))
    assert page.state is AlertState.TRIGGERED
    assert len(here.undos()) == 1
    return str(status["message"])


def edit(here: Stage, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the Deployment as somebody else does."""
    deployment = here.world.deployment()
    change(deployment)
    here.world.cluster.store.update(DEPLOYMENTS, deployment, manager="kubectl")


def pods_of(here: Stage, version: str) -> list[dict[str, Any]]:
    uid = here.rs_uid(version)
    found = here.world.cluster.store.list("pods", here.world.namespace)
    return [pod for pod in found if pod["metadata"]["ownerReferences"][0]["uid"] == uid]


def test_a_terminating_pod_that_still_serves_delays_the_proof(tmp_path: Path) -> None:
    """With proxies that lag by less than the hold window, the oracle sees nothing after the proof."""

    async def story(here: Stage) -> None:
        await undone(here, terminate_after="70s")
        await here.rest(timedelta(seconds=60))
        assert pods_of(here, "v2")
        await proven(here)
        assert here.at("trafficProvenAt") - here.at("patchedAt") >= timedelta(seconds=70) + HOLD

    play(tmp_path, story, proxy_lag_seconds=25.0)


def test_slices_that_lag_delay_the_proof(tmp_path: Path) -> None:
    """Every pod of v2 is gone and every count is right, but one of several slices still names v2's pods."""

    async def story(here: Stage) -> None:
        await undone(here)
        here.world.cluster.controllers.stall("endpointslice")
        await here.rest(timedelta(seconds=90))
        assert pods_of(here, "v2") == []
        assert not here.status()["times"].get("trafficProvenAt")
        resumed_at = here.world.clock.now()
        here.world.cluster.controllers.resume("endpointslice")
        await proven(here)
        assert here.at("trafficProvenAt") - resumed_at >= HOLD

    play(tmp_path, story, endpoints_per_slice=2)


def test_a_readiness_flap_restarts_the_window(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        await undone(here)
        await here.rest(timedelta(seconds=20))
        pod = pods_of(here, "v1")[0]
        for ready in ("False", "True"):
            fresh = here.world.cluster.store.get("pods", here.world.namespace, pod["metadata"]["name"])
            assert fresh is not None
            (condition,) = [each for each in fresh["status"]["conditions"] if each["type"] == "Ready"]
            condition["status"] = ready
            here.world.cluster.store.update("pods", fresh, manager="kubelet", subresource="status")
        flapped_at = here.world.clock.now()
        await proven(here)
        assert here.at("trafficProvenAt") - flapped_at >= HOLD

    play(tmp_path, story)


def test_an_autoscaler_during_the_proof_restarts_it_with_the_new_number(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        await undone(here)
        await here.rest(timedelta(seconds=20))
        edit(here, lambda it: it["spec"].update(replicas=5))
        scaled_at = here.world.clock.now()
        await proven(here)
        assert here.at("trafficProvenAt") - scaled_at >= HOLD
        assert len(pods_of(here, "v1")) == 5

    play(tmp_path, story)


def test_target_pods_that_never_become_ready(tmp_path: Path) -> None:
    """No node takes pods any more: the undo is accepted, and v1 never serves alone."""

    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.1)
        await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
        for node in here.world.cluster.store.list("nodes"):
            node["spec"]["unschedulable"] = True
            here.world.cluster.store.update("nodes", node, manager="kubectl")
        await here.phase("Verifying", SOON)
        message = await ended(here, "TrafficNotProven", TrafficProven="False")
        assert "not complete" in message
        assert not here.status()["times"].get("trafficProvenAt")

    play(tmp_path, story, IMPATIENT)


def test_errors_that_go_on_after_the_undo(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        await undone(here)
        await here.until(lambda: here.status()["times"].get("trafficProvenAt"), SOON, "traffic proven")
        here.degrade("v1", error_rate=0.1)
        message = await ended(here, "NotRecovered", TrafficProven="True", Recovered="False")
        assert "error_rate" in message
        # Whoever comes next finds that it goes on.
        await here.phase("Closed", PATIENT)
        await here.until(lambda: here.incident(2), SOON, "an incident that goes on")
        assert here.status()["followedBy"] == here.incidents()[1]["metadata"]["name"]

    play(tmp_path, story)


def test_another_alert_that_stays_true_after_the_undo(tmp_path: Path) -> None:
    """Two rules page; the one that decided is false again, the other is not: nothing is resolved."""

    async def story(here: Stage) -> None:
        here.annotate_workload(FREEZE, "hands off")
        here.world.release("v2", error_rate=0.3, latency_p95="9s")
        await here.reason("Frozen", SOON)
        await here.rest(timedelta(minutes=3))
        assert len(here.incidents()[0]["spec"]["alerts"]) == 3
        await here.click(ROLL_BACK)
        await here.phase("Verifying", SOON)
        await here.until(lambda: here.status()["times"].get("trafficProvenAt"), SOON, "traffic proven")
        here.degrade("v1", latency_p95="9s")
        message = await ended(here, "NotRecovered", TrafficProven="True", Recovered="False")
        assert "latency_p95" in message

    play(tmp_path, story)


def test_a_prometheus_that_is_gone_after_the_undo(tmp_path: Path) -> None:
    """No data is not "recovered"."""

    async def story(here: Stage) -> None:
        await undone(here)
        await here.until(lambda: here.status()["times"].get("trafficProvenAt"), SOON, "traffic proven")
        assert here.world.prometheus is not None
        here.world.prometheus.outage = Outage.DOWN
        await ended(here, "RecoveryUnknown", TrafficProven="True", Recovered="Unknown")

    play(tmp_path, story)


def test_traffic_that_stopped_after_the_undo(tmp_path: Path) -> None:
    """Prometheus answers, but no request comes any more: nothing says that it is good again."""

    async def story(here: Stage) -> None:
        await undone(here)
        await here.until(lambda: here.status()["times"].get("trafficProvenAt"), SOON, "traffic proven")
        here.world.traffic.requests_per_second = 0.0
        await ended(here, "RecoveryUnknown", TrafficProven="True", Recovered="Unknown")

    play(tmp_path, story)


def test_a_release_during_the_proof(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        await undone(here)
        await here.rest(timedelta(seconds=15))
        here.world.release("v3")
        released_at = here.world.clock.now()
        status = await here.phase("Settling", SOON)
        assert status["outcome"] == "Superseded"
        assert here.world.clock.now() - released_at < timedelta(seconds=3)
        await here.rest(timedelta(minutes=10))
        assert here.versions == ["v1", "v2", "v1", "v3"]

    play(tmp_path, story)


def test_a_deployment_deleted_during_the_proof(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        await undone(here)
        here.world.cluster.store.delete(DEPLOYMENTS, here.world.namespace, here.world.name)
        status = await here.phase("Settling", SOON)
        assert status["outcome"] == "Superseded"

    play(tmp_path, story)


def delete_service(here: Stage) -> None:
    here.world.cluster.store.delete("services", here.world.namespace, here.world.name)


@pytest.mark.parametrize(
    ("spoil", "services", "truth", "said"),
    [
        (delete_service, [], "Unknown", "No Service selects"),
        (delete_service, ["payment-service"], "False", "payment-service"),
        (lambda here: None, ["payment-service", "payment-internal"], "False", "payment-internal"),
        (
            lambda here: edit(here, lambda it: it["spec"].update(replicas=0)),
            None,
            "Unknown",
            "scaled to zero",
        ),
        (lambda here: edit(here, lambda it: it["spec"].update(paused=True)), None, "False", "paused"),
    ],
)
def test_traffic_that_can_not_be_proven(
    tmp_path: Path, spoil: Callable[[Stage], object], services: list[str] | None, truth: str, said: str
) -> None:
    async def story(here: Stage) -> None:
        await undone(here)
        spoil(here)
        message = await ended(here, "TrafficNotProven", TrafficProven=truth)
        assert said in message

    play(tmp_path, story, IMPATIENT, {} if services is None else {"services": services})


def renames_the_port(it: dict[str, Any]) -> None:
    it["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"] = "web"


def tells_its_version(it: dict[str, Any]) -> None:
    it["spec"]["template"]["metadata"]["labels"]["release"] = "v2"


@pytest.mark.parametrize(
    ("released", "service", "said"),
    [
        (renames_the_port, {"ports": [{"name": "http", "port": 80, "targetPort": "web"}]}, "targetPort, web"),
        (tells_its_version, {"selector": {"release": "v2"}}, "has no ready endpoint"),
    ],
    ids=["by its port", "by its selector"],
)
def test_a_service_that_went_with_the_release_and_was_left_behind(
    tmp_path: Path, released: Callable[[dict[str, Any]], None], service: dict[str, Any], said: str
) -> None:
    """The undo of the Deployment alone leaves it without anybody: every pod is ready, and none is called."""

    async def story(here: Stage) -> None:
        def change(it: dict[str, Any]) -> None:
            released(it)
            container, template = it["spec"]["template"]["spec"]["containers"][0], it["spec"]["template"]
            container["image"] = image(here.world.name, "v2")
            template["metadata"]["annotations"][ERROR_RATE] = "0.1"

        edit(here, change)
        store = here.world.cluster.store
        found = store.get("services", here.world.namespace, here.world.name)
        assert found is not None
        found["spec"].update(service)
        store.update("services", found, manager="kubectl")
        await here.phase("Verifying", SOON)
        assert said in await ended(here, "TrafficNotProven", TrafficProven="False")
        since = here.world.clock.now() - timedelta(seconds=30)
        assert here.world.oracle.requests_by_revision(since=since) == {}

    play(tmp_path, story, IMPATIENT, {"services": []})


def test_a_webhook_that_changes_the_undo_on_its_way(tmp_path: Path) -> None:
    """It came up after the dry run: the template is neither the target's nor anybody else's work."""

    async def story(here: Stage) -> None:
        def meshed(it: dict[str, Any]) -> dict[str, Any]:
            it["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})["mesh"] = "on"
            return it

        cluster = here.world.cluster
        cluster.faults.add(FaultRule("PATCH", "/incidents/.*/status", Delay(3.0), count=1))
        here.world.release("v2", error_rate=0.1)
        await here.until(lambda: cluster.faults.taken, SOON, "an intent under way")
        cluster.admission.add(Mutating(name="mesh", resource=DEPLOYMENTS, change=meshed))
        await here.until(lambda: here.status().get("outcome"), PATIENT, "an outcome")
        assert here.status()["outcome"] == "TrafficNotProven", here.summary()
        assert "mutating webhook" in here.status()["message"]
        await here.rest(timedelta(seconds=10))
        page = here.page()
        assert page is not None
        assert page.state is AlertState.TRIGGERED

    play(tmp_path, story, IMPATIENT)
