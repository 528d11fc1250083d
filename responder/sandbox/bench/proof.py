"""How far "traffic proven" comes behind the truth, which the oracle and the cluster's store know.

Beyond the hold window: the proof has to wait that long by its own definition. Needs the sandbox's oracle, so
it is not measured on another cluster.
"""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack
from datetime import datetime

import yaml

from responder.clock import Clock
from responder.rules.load import load_rules
from responder.sandbox.api.store import Event
from responder.sandbox.bench.api import Api, BenchError, open_api
from responder.sandbox.bench.figures import Figure
from responder.sandbox.bench.ground import Ground
from responder.sandbox.bench.responder import running_responder
from responder.sandbox.bench.workloads import NAME, Workload, remembered, write_rules
from responder.sandbox.world import Plan, World, free_port, start_world

_WITHIN_SECONDS = 60.0
_BAD_FOR_SECONDS = 3.0
# What an address of the workload's Services is made of.
_ROUTING = ("pods", "endpointslices.discovery.k8s.io")


async def measure_proof(ground: Ground, proofs: int) -> list[Figure]:
    """One rollback after another, each in a world of its own."""
    late = [await _one(ground, number) for number in range(proofs)]
    name = f"traffic proven behind the oracle, beyond the hold window, median of {proofs}"
    return [
        Figure(name, statistics.median(late), "s", 0.25),
        Figure(f"the same, worst of {proofs}", max(late), "s"),
    ]


async def _one(ground: Ground, number: int) -> float:
    workload = Workload(f"proof-{number}")
    folder = ground.folder / workload.namespace
    rules = write_rules([workload], folder / "rules")
    (file,) = load_rules(rules).files
    plan = Plan(
        file, replicas=4, tick_seconds=0.02, proxy_lag_seconds=0.1, built_in_alerts=False, seed=number
    )
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(start_world(ground.clock, plan, free_port()))
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(world.cluster.kubeconfig()), encoding="utf-8")
        api = await stack.enter_async_context(open_api(kubeconfig))
        responder = await stack.enter_async_context(
            running_responder(kubeconfig, rules, ground.prometheus.url, folder, ground.clock)
        )
        await remembered(api, [workload], 1, ground.clock)
        world.release("v2")
        await world.cluster.rollout_complete(workload.namespace, NAME)
        await remembered(api, [workload], 2, ground.clock)
        ground.prometheus.bad[workload.namespace] = (ground.clock.now().timestamp(), float("inf"))
        await ground.clock.sleep(_BAD_FOR_SECONDS)
        routing = _Routing(ground.clock)
        stack.callback(world.cluster.store.subscribe(routing.note))
        await responder.deliver(api.session, workload.delivery(ground.clock.now()))
        proven_at, held_seconds = await _proof(api, world)
        return (proven_at - _truth(world, routing, proven_at)).total_seconds() - held_seconds


class _Routing:
    """When the last pod or endpoint changed."""

    def __init__(self, clock: Clock) -> None:
        self.changed_at: list[datetime] = []
        self._clock = clock

    def note(self, event: Event) -> None:
        """Keep the time of a change."""
        if event.resource.key in _ROUTING:
            self.changed_at.append(self._clock.now())


def _truth(world: World, routing: _Routing, proven_at: datetime) -> datetime:
    """From when on the good revision served everything: the bad one's last request, and the last change."""
    served = [
        world.oracle.last_request_to(uid)
        for uid in world.oracle.requests_by_revision()
        if uid != _serving_now(world)
    ]
    instants = [*routing.changed_at, *(at for at in served if at is not None)]
    if any(at > proven_at for at in instants):
        raise BenchError("bench: the traffic was said to be proven while the oracle saw it elsewhere")
    return max(instants)


def _serving_now(world: World) -> str:
    replicasets = world.cluster.store.list("replicasets.apps", world.namespace)
    return next(str(each["metadata"]["uid"]) for each in replicasets if each["spec"]["replicas"])


async def _proof(api: Api, world: World) -> tuple[datetime, float]:
    """When the responder says that traffic was proven, and the hold window that its rule file names."""
    hold = world.plan.file.rollback.hold
    path = f"/apis/responder.dev/v1alpha1/namespaces/{world.namespace}/incidents"
    async with asyncio.timeout(_WITHIN_SECONDS):
        async for event in api.watch(path, {}):
            times = (event["object"].get("status") or {}).get("times") or {}
            if hold is not None and times.get("trafficProvenAt"):
                return datetime.fromisoformat(times["trafficProvenAt"]), hold.total_seconds()
    raise BenchError("bench: the watch on incidents ended before the traffic was proven")
