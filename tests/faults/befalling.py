"""Everything that can befall the world of a story: each fault begins, lasts for its time, and ends.

A fault says how it is done; when it begins is the story's affair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from responder.sandbox.api.admission import Mutating, Validating
from responder.sandbox.api.disturbances import (
    BreakWatches,
    Disturbance,
    ExpireWatches,
    HangWatches,
    LagWatches,
    LoseHistory,
    Restart,
    SkewClock,
)
from responder.sandbox.api.faults import (
    Delay,
    DropAfter,
    DropBefore,
    Effect,
    FaultRule,
    Faults,
    Hang,
    Late,
    Refuse,
)
from responder.sandbox.api.objects import Object
from responder.sandbox.api.skewed_clock import SkewedClock
from responder.sandbox.outage import Outage
from responder.sandbox.world import World
from tests.flow.harness import INCIDENTS, version_of

MINUTE = timedelta(minutes=1)
_EVERYTHING = "."


@dataclass(frozen=True, slots=True)
class Ground:
    """What a fault is done to: the world, and the clock on the responder's wall."""

    world: World
    wall_clock: SkewedClock

    async def rest(self, duration: timedelta) -> None:
        """Let time pass."""
        await self.world.clock.sleep(duration.total_seconds())


Befall = Callable[[Ground], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table: `befall` returns when all is as usual again; `plan` changes its world."""

    name: str
    befall: Befall
    plan: Mapping[str, Any] = field(default_factory=dict)


def count_hits(world: World) -> int:
    """How many requests were struck so far, where strikes are counted."""
    return (
        len(world.cluster.faults.taken)
        + len(world.cluster.admission.struck)
        + len(world.slack.faults.taken)
        + len(world.pagerduty.faults.taken)
    )


def requests(effect: Effect, lasts: timedelta = MINUTE, *, methods: tuple[str, ...] = ("*",)) -> Befall:
    """Every request of the responder to the API server suffers so."""

    async def befall(ground: Ground) -> None:
        await _strike(ground, ground.world.cluster.faults, effect, lasts, methods)

    return befall


def writes(effect: Effect, lasts: timedelta = MINUTE) -> Befall:
    """Every write of the responder to the API server suffers so."""
    return requests(effect, lasts, methods=("POST", "PUT", "PATCH", "DELETE"))


def inboxes(effect: Effect, *which: Literal["slack", "pagerduty"], lasts: timedelta = 10 * MINUTE) -> Befall:
    """Slack, PagerDuty or both answer so."""

    async def befall(ground: Ground) -> None:
        for name in which:
            inbox = ground.world.slack if name == "slack" else ground.world.pagerduty
            ends_at = ground.world.clock.now() + lasts
            inbox.faults.add(FaultRule("*", _EVERYTHING, effect, ends_at=ends_at))
        await ground.rest(lasts)

    return befall


async def limit_slack(ground: Ground) -> None:
    """Slack refuses what is too often; and for a minute everything, with the time to wait."""
    ground.world.slack.limits_rate = True
    await inboxes(Refuse(429, retry_after_seconds=30), "slack", lasts=MINUTE)(ground)


def disturbance(make: Callable[[Ground], Disturbance], after: timedelta = timedelta()) -> Befall:
    """The API server as a whole suffers so, and so much time passes until it is counted as over."""

    async def befall(ground: Ground) -> None:
        await ground.world.cluster.suffer(make(ground))
        await ground.rest(after)

    return befall


def skew(seconds: float, lasts: timedelta = 2 * MINUTE) -> Befall:
    """The API server's clock is off for a time."""

    async def befall(ground: Ground) -> None:
        cluster, clock = ground.world.cluster, ground.world.clock
        await cluster.suffer(SkewClock(clock.now(), seconds))
        await ground.rest(lasts)
        await cluster.suffer(SkewClock(clock.now(), 0.0))

    return befall


def step_wall_clock(seconds: float, lasts: timedelta = 2 * MINUTE) -> Befall:
    """The responder's own clock steps, and steps back after a time."""

    async def befall(ground: Ground) -> None:
        ground.wall_clock.ahead_by = timedelta(seconds=seconds)
        await ground.rest(lasts)
        ground.wall_clock.ahead_by = timedelta()

    return befall


async def deny_undo(ground: Ground) -> None:
    """An admission webhook denies for a minute that a Deployment goes back to v1."""

    def refuse(new: Object, old: Object | None) -> str:
        return "not now" if old is not None and version_of(new) == "v1" != version_of(old) else ""

    await _admit(ground, Validating(name="deny.example", resource="deployments.apps", refuse=refuse))


async def deny_incidents(ground: Ground) -> None:
    """An admission webhook denies every write of an incident for a minute."""
    await _admit(
        ground,
        *(
            Validating(name="deny.example", resource=resource, refuse=lambda new, old: "not now")
            for resource in (INCIDENTS, f"{INCIDENTS}/status")
        ),
    )


async def add_sidecar(ground: Ground) -> None:
    """A mutating webhook adds a sidecar to every Deployment that is written for a minute."""

    def change(obj: Object) -> Object:
        containers = obj["spec"]["template"]["spec"]["containers"]
        if all(each["name"] != "proxy" for each in containers):
            containers.append({"name": "proxy", "image": "registry.example/proxy:v1"})
        return obj

    await _admit(ground, Mutating(name="sidecar.example", resource="deployments.apps", change=change))


async def exceed_quota(ground: Ground) -> None:
    """For a minute no more pods may be made than there are."""
    cluster, namespace = ground.world.cluster, ground.world.namespace
    count = len(cluster.store.list("pods", namespace))
    spec = {"hard": {"pods": str(count)}}
    metadata = {"name": "pods", "namespace": namespace}
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec})
    await ground.rest(MINUTE)
    cluster.store.delete("resourcequotas", namespace, "pods")


def prometheus(outage: Outage, lasts: timedelta, *, loses_data: bool = False) -> Befall:
    """Prometheus is gone or answers 503 for a time, and has forgotten everything afterwards."""

    async def befall(ground: Ground) -> None:
        server = ground.world.prometheus
        assert server is not None
        server.outage = outage
        await ground.rest(lasts)
        if loses_data:
            server.restart_empty()
        server.outage = Outage.NONE

    return befall


async def slow_prometheus(ground: Ground) -> None:
    """Every answer of Prometheus takes 20 s, for a minute."""
    assert ground.world.prometheus is not None
    ground.world.prometheus.answers_after_seconds = 20.0
    await ground.rest(MINUTE)
    ground.world.prometheus.answers_after_seconds = 0.0


async def stale_prometheus(ground: Ground) -> None:
    """Prometheus scrapes nobody for a minute."""
    assert ground.world.prometheus is not None
    ground.world.prometheus.scraping = False
    await ground.rest(MINUTE)
    ground.world.prometheus.scraping = True


async def unreachable_pods(ground: Ground) -> None:
    """No pod can be scraped for a minute (`up` is 0)."""
    assert ground.world.prometheus is not None
    ground.world.prometheus.unreachable = _EVERYTHING
    await ground.rest(MINUTE)
    ground.world.prometheus.unreachable = ""


def alertmanager(outage: Outage, lasts: timedelta, *, loses_data: bool = False) -> Befall:
    """The first Alertmanager is gone for a time, and has forgotten everything afterwards."""

    async def befall(ground: Ground) -> None:
        server = ground.world.alertmanagers[0]
        server.outage = outage
        await ground.rest(lasts)
        if loses_data:
            server.restart_empty()
        server.outage = Outage.NONE

    return befall


def stall(controller: str) -> Befall:
    """A controller stands still for a minute."""

    async def befall(ground: Ground) -> None:
        controllers = ground.world.cluster.controllers
        controllers.stall(controller)
        await ground.rest(MINUTE)
        controllers.resume(controller)

    return befall


async def delete_pods(ground: Ground) -> None:
    """Somebody deletes every pod."""
    store, namespace = ground.world.cluster.store, ground.world.namespace
    for pod in store.list("pods", namespace):
        store.delete("pods", namespace, pod["metadata"]["name"])
    await ground.rest(MINUTE)


async def _strike(
    ground: Ground, faults: Faults, effect: Effect, lasts: timedelta, methods: tuple[str, ...]
) -> None:
    # Matched in the world's time, which a skewed API server does not tell.
    ends_at = ground.world.clock.now() + lasts
    for method in methods:
        faults.add(FaultRule(method, _EVERYTHING, effect, ends_at=ends_at))
    await ground.rest(lasts)


async def _admit(ground: Ground, *webhooks: Mutating | Validating) -> None:
    removals = [ground.world.cluster.admission.add(webhook) for webhook in webhooks]
    await ground.rest(MINUTE)
    for remove in removals:
        remove()


_SHORTLY = timedelta(seconds=20)

# Whose strikes are counted, and then the others.
STRIKING = (
    Fault("API: 409 to writes", writes(Refuse(409))),
    Fault("API: 429, Retry-After 5 s", requests(Refuse(429, retry_after_seconds=5))),
    Fault("API: 500", requests(Refuse(500))),
    Fault("API: 500 to writes, done", writes(Refuse(500, after_effect=True))),
    Fault("API: 503", requests(Refuse(503))),
    Fault("API: 504 to writes, done", writes(Refuse(504, after_effect=True))),
    Fault("API: 403 to writes", writes(Refuse(403))),
    Fault("API: 3 s late", requests(Delay(3.0))),
    Fault("API: drops requests", requests(DropBefore())),
    Fault("API: drops answers", requests(DropAfter())),
    Fault("API: hangs", requests(Hang())),
    Fault("API: does and hangs", requests(Hang(after_effect=True))),
    Fault("API: writes 45 s late", writes(Late(45.0))),
    Fault("admission denies the undo", deny_undo),
    Fault("admission denies incidents", deny_incidents),
    Fault("admission adds a sidecar", add_sidecar),
    Fault("Slack gone 10 min", inboxes(Refuse(503), "slack")),
    Fault("Slack hangs 10 min", inboxes(Hang(after_effect=True), "slack")),
    Fault("Slack limits the rate", limit_slack),
    Fault("PagerDuty gone 10 min", inboxes(Refuse(503), "pagerduty")),
    Fault("Slack, PagerDuty gone 10 min", inboxes(DropBefore(), "slack", "pagerduty")),
)
FAULTS = (
    *STRIKING,
    Fault("API: restarts, 5 s", disturbance(lambda g: Restart(g.world.clock.now(), 5.0))),
    Fault("API: refuses connections", disturbance(lambda g: Restart(g.world.clock.now(), 60.0))),
    Fault("API: clock 90 s ahead", skew(90.0)),
    Fault("API: clock 90 s behind", skew(-90.0)),
    Fault("watches break", disturbance(lambda g: BreakWatches(g.world.clock.now()))),
    Fault("watches hang", disturbance(lambda g: HangWatches(g.world.clock.now()), MINUTE)),
    Fault("watches lag by 10 s", disturbance(lambda g: LagWatches(g.world.clock.now(), 10.0, 60.0))),
    Fault("watches expire", disturbance(lambda g: ExpireWatches(g.world.clock.now()))),
    Fault("watches fail inside", disturbance(lambda g: ExpireWatches(g.world.clock.now(), code=500))),
    Fault("history is lost", disturbance(lambda g: LoseHistory(g.world.clock.now()))),
    Fault("quota of pods exceeded", exceed_quota),
    Fault("deployment controller stalls", stall("deployment")),
    Fault("replicaset controller stalls", stall("replicaset")),
    Fault("endpointslices stall", stall("endpointslice")),
    Fault("kubelets stall", stall("kubelet")),
    Fault("every pod is deleted", delete_pods),
    Fault("Prometheus gone", prometheus(Outage.DOWN, MINUTE)),
    # So long that Alertmanager takes its alerts for resolved.
    Fault("Prometheus gone 10 min", prometheus(Outage.DOWN, 10 * MINUTE)),
    Fault("Prometheus answers 503", prometheus(Outage.UNAVAILABLE, MINUTE)),
    Fault("Prometheus slow", slow_prometheus),
    Fault("Prometheus restarts empty", prometheus(Outage.DOWN, _SHORTLY, loses_data=True)),
    Fault("Prometheus scrapes nothing", stale_prometheus),
    Fault("no pod can be scraped", unreachable_pods),
    Fault("Alertmanager gone", alertmanager(Outage.DOWN, 3 * MINUTE)),
    Fault("Alertmanager restarts empty", alertmanager(Outage.DOWN, _SHORTLY, loses_data=True)),
    Fault("one of two Alertmanagers gone", alertmanager(Outage.DOWN, 3 * MINUTE), {"alertmanagers": 2}),
    Fault("own clock 2 min ahead", step_wall_clock(120.0)),
    Fault("own clock 2 min behind", step_wall_clock(-120.0)),
)
