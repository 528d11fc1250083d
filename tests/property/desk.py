"""Two replicas' intake and one that closes, over the simulated API server: no judging, no cluster behind it.

Every call takes a random while, so that their order is anybody's; any of them may be killed in between.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, cast

import yaml

from responder.alerts.model import Alert
from responder.clients.alertmanager import Alertmanager
from responder.clients.kubernetes import Conflict, Kubernetes, connect, paths
from responder.clients.kubernetes.model import ObjectList
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.advance import settled
from responder.incidents.model import Incident
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.pipeline.close import close, finish
from responder.pipeline.drive import Drivers
from responder.pipeline.follow import open_for_held
from responder.pipeline.intake import Intake
from responder.pipeline.open_incidents import OpenIncidents
from responder.pipeline.reconcile import Reconcile
from responder.pipeline.refusals import Refusals
from responder.rules.load import load_rules
from responder.rules.model import RuleSet
from responder.sandbox.api.access import ADMIN, Tokens
from responder.sandbox.api.server import ApiServer, kubeconfig, run_server
from responder.sandbox.api.store import Event, Store
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import together
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import RevisionRef, Serving
from tests.property.deliveries import Acting, Delivery, Instance, Tale
from tests.shared import CHECKOUT

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = WorkloadKey("payments", "Deployment", "payment-service")
HOME = "responder"
LEADER = "leader"
INCIDENTS, RECORDS = "incidents.responder.dev", "workloadrecords.responder.dev"
_SLOWEST_SECONDS = 0.2


@cache
def rules() -> RuleSet:
    return load_rules(CHECKOUT / "rules")


@cache
def _definitions() -> tuple[str, ...]:
    folder = CHECKOUT / "deploy" / "base" / "crds"
    return tuple(
        json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.yaml"))
    )


class Slow(Kubernetes):
    """The API by way of a network that takes a while in each direction."""

    def __init__(self, inner: Kubernetes, clock: Clock, random: Random) -> None:
        self._inner = inner
        self._clock = clock
        self._random = random

    async def _travel(self) -> None:
        await self._clock.sleep(self._random.choice([0.0, 0.01, self._random.random() * _SLOWEST_SECONDS]))

    async def get(self, path: str) -> dict[str, Any]:
        await self._travel()
        answer = await self._inner.get(path)
        await self._travel()
        return answer

    async def list(self, path: str, **query: Any) -> ObjectList:
        await self._travel()
        return await self._inner.list(path, **query)

    async def create(self, path: str, body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        await self._travel()
        answer = await self._inner.create(path, body, dry_run=dry_run)
        await self._travel()
        return answer

    async def merge_patch(
        self, path: str, body: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        await self._travel()
        answer = await self._inner.merge_patch(path, body, dry_run=dry_run)
        await self._travel()
        return answer

    def list_watch(self, path: str, **query: Any) -> Any:
        return self._inner.list_watch(path, **query)


class Replica:
    """One process's intake: killed, it forgets what it knew and what it was about to write."""

    def __init__(self, desk: Desk, name: str, kubernetes: Kubernetes) -> None:
        self._desk = desk
        self.name = name
        self.kubernetes = kubernetes
        self.start()

    def start(self) -> None:
        clock = self._desk.clock
        self.under_way: set[asyncio.Task[Any]] = set()
        self.incidents = OpenIncidents(self.kubernetes)
        self.intake = Intake(
            IncidentStore(self.kubernetes),
            rules,
            clock,
            HOME,
            self.incidents.note,
            self.incidents.is_open,
            Refusals(None, None, "", clock),
            count_open=lambda: 0,
            max_open=1000,
        )
        self.following = self._desk.group.create_task(self.incidents.run())

    def kill(self) -> None:
        """End it wherever it is, and start it anew."""
        self.stop()
        self.start()

    def stop(self) -> None:
        for task in (*self.under_way, self.following):
            task.cancel()


class Listing:
    """An Alertmanager's list of active alerts, as the reconcile asks for it."""

    def __init__(self, desk: Desk, sender: int) -> None:
        self._desk = desk
        self._sender = sender
        self.name = f"alertmanager-{sender}"

    async def list_alerts(self, receiver: str) -> list[Alert]:
        return self._desk.active(self._sender)


class Open:
    """What the reconcile asks of the drivers: which incidents are open."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def incidents(self) -> list[Incident]:
        return self._desk.replicas[0].incidents.incidents()

    def wake(self, incident: Incident) -> None:
        """Nobody drives them here."""

    def wake_workload(self, key: WorkloadKey) -> bool:
        return False

    def wake_named(self, namespace: str, name: str) -> bool:
        return False


@dataclass
class Desk:
    """The stage, and what was acknowledged."""

    tale: Tale
    clock: Clock
    store: Store
    server: ApiServer
    group: asyncio.TaskGroup
    replicas: list[Replica] = field(default_factory=list)
    leader: IncidentStore = field(init=False)
    leading: asyncio.Lock = field(default_factory=asyncio.Lock)
    events: list[Event] = field(default_factory=list)
    # Deliveries that were answered 2xx: when they were sent first, and answered.
    acknowledged: list[tuple[float, float, Delivery]] = field(default_factory=list)

    def now(self) -> float:
        return (self.clock.now() - START).total_seconds()

    def emptied(self, sender: int) -> bool:
        empty = self.tale.empty
        return empty is not None and empty.sender == sender and empty.at <= self.now() < empty.until

    def active(self, sender: int) -> list[Alert]:
        if self.emptied(sender):
            return []
        found = (each for each in self.tale.instances if each.active(sender, self.now()))
        return [alert_of(each, sender, firing=True) for each in found]

    async def deliver(self, delivery: Delivery) -> None:
        """Send until it is taken, to one replica after the other, as happens behind a Service."""
        await self.clock.sleep(max(0.0, delivery.at - self.now()))
        if self.emptied(delivery.sender):
            return
        began, alert = self.now(), alert_of(delivery.instance, delivery.sender, firing=delivery.firing)
        for turn in range(delivery.sender, delivery.sender + 30):
            replica = self.replicas[turn % 2]
            task = self.group.create_task(self._take(replica, alert))
            replica.under_way.add(task)
            await asyncio.wait([task])
            if not task.cancelled() and task.result():
                self.acknowledged.append((began, self.now(), delivery))
                return
            await self.clock.sleep(0.5)
        raise AssertionError(f"never taken: {delivery}")

    async def _take(self, replica: Replica, alert: Alert) -> bool:
        try:
            receipt = await replica.intake.take([alert])
        except ResponderError:
            return False
        assert not receipt.refused
        return True

    async def act(self, acting: Acting) -> None:
        """Let the leader do something, or as much of it as it lives for; then another one takes it up."""
        await self.clock.sleep(max(0.0, acting.at - self.now()))
        async with self.leading:
            with suppress(TimeoutError, Conflict):
                async with asyncio.timeout(acting.killed_after):
                    await self._do(acting.what)
            await self.take_up()

    async def _do(self, what: str) -> None:
        if what == "revision":
            record = await self.leader.update_record(KEY, self._release)
            if not self._open():
                await open_for_held(self.leader, self.clock, record)
            return
        for incident in self._open():
            followed_by = None
            if what == "follow" and incident.firing:
                followed_by = KEY.incident_name(incident.spec.sequence + 1)
            status = settled(incident.status, self.clock.now(), followed_by, "over")
            closed = await close(self.leader, incident, status, self.clock.now(), recovered=False)
            await finish(self.leader, self.clock, closed)
            await self.leader.unmark(closed)

    def _release(self, spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        """Another revision serves from now on."""
        now, name = self.clock.now(), f"v{len(spec.servings) + 1}"
        before = [each.model_copy(update={"ended_at": each.ended_at or now}) for each in spec.servings]
        revision = RevisionRef(uid=name, replica_set=name, hash=name)
        begun = Serving(revision=revision, seen=True, first_serving_at=now, noticed_at=now)
        return spec.model_copy(update={"servings": (*before, begun)})

    async def take_up(self) -> None:
        """Finish what closed under a leader that is gone."""
        for incident in self._marked():
            if incident.phase is Phase.CLOSED:
                await finish(self.leader, self.clock, incident)
                await self.leader.unmark(incident)

    def _marked(self) -> list[Incident]:
        found = self.store.list(INCIDENTS, KEY.namespace)
        return [
            Incident.model_validate({**each, "status": each.get("status") or {}})
            for each in found
            if "responder.dev/open" in each["metadata"]["labels"]
        ]

    def _open(self) -> list[Incident]:
        return [each for each in self._marked() if each.phase is not Phase.CLOSED]

    async def kill(self, at: float, number: int) -> None:
        await self.clock.sleep(max(0.0, at - self.now()))
        self.replicas[number].kill()

    async def reconcile(self) -> None:
        """Look at the Alertmanagers every minute, as whoever leads does."""
        first = self.replicas[0]
        await Reconcile(
            kubernetes=first.kubernetes,
            store=self.leader,
            intake=cast(Intake, Current(self)),
            drivers=cast(Drivers, Open(self)),
            alertmanagers=cast(tuple[Alertmanager, ...], (Listing(self, 0), Listing(self, 1))),
            receiver="responder",
            workloads=lambda: [KEY],
            clock=self.clock,
            repeat_interval=timedelta(hours=4),
        ).run()

    async def play(self) -> None:
        """Everything of the tale, and then long enough for two looks of the reconcile."""
        reconcile = self.group.create_task(self.reconcile())
        async with together() as group:
            for delivery in self.tale.deliveries:
                group.create_task(self.deliver(delivery))
            for acting in self.tale.acts:
                group.create_task(self.act(acting))
            for at, number in self.tale.kills:
                group.create_task(self.kill(at, number))
        await self.clock.sleep(200)
        reconcile.cancel()


class Current:
    """The intake of the replica that leads, also after it was restarted."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk.replicas[0].intake, name)


def alert_of(instance: Instance, sender: int, *, firing: bool) -> Alert:
    ends = instance.ends
    return Alert(
        fingerprint=instance.name,
        labels={
            "alertname": instance.name,
            "namespace": KEY.namespace,
            "deployment": KEY.name,
            "responder_rule": "payment-service/high-error-rate",
        },
        annotations={},
        starts_at=START + timedelta(seconds=instance.starts[sender]),
        ends_at=None if firing or ends is None else START + timedelta(seconds=ends[sender]),
        generator_url="",
    )


@asynccontextmanager
async def desk(tale: Tale, folder: Path) -> AsyncIterator[Desk]:
    """The stage for one example."""
    clock = LoopClock(START)
    store = Store(clock)
    server = ApiServer(store, Tokens({"admin": ADMIN}))
    random = Random(tale.seed)
    async with run_server(server.app()) as url:
        file = folder / "kubeconfig"
        file.write_text(json.dumps(kubeconfig(url, "admin")), encoding="utf-8")
        clients = [await connect(file, clock=clock, identity=name) for name in ("first", "second", LEADER)]
        try:
            for definition in _definitions():
                await clients[0].create(
                    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json.loads(definition)
                )
            for name in (KEY.namespace, HOME):
                await clients[0].create("/api/v1/namespaces", {"metadata": {"name": name}})
            first, second, leader = (Slow(client, clock, random) for client in clients)
            async with together() as group:
                here = Desk(tale, clock, store, server, group)
                here.leader = IncidentStore(leader)
                here.replicas = [Replica(here, "first", first), Replica(here, "second", second)]
                unsubscribe = store.subscribe(here.events.append)
                try:
                    yield here
                finally:
                    unsubscribe()
                    for replica in here.replicas:
                        replica.stop()
        finally:
            for client in clients:
                await client.close()


def creations(here: Desk) -> list[tuple[str, dict[str, Any]]]:
    """Who opened which incident, by the server's log."""
    return [
        (each.user_agent.rpartition(" ")[2], each.body)
        for each in here.server.log.writes("/incidents")
        if each.method == "POST" and each.path == paths.incidents(KEY.namespace)
    ]
