"""A rollback on a random small cluster, with random events and faults beside its proof.

Drawn by hypothesis, played on virtual time through the real client and socket. The oracle and the store are
the judges: nothing here reads what the verification reads it by.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from responder.clients.kubernetes import connect
from responder.sandbox import manifests
from responder.sandbox.api.fault_plan import draw_plan
from responder.sandbox.api.objects import Object
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.oracle import Oracle
from responder.sandbox.traffic import PodDirectory, PodMetrics, Traffic
from responder.sandbox.traffic.pods import read_pod
from responder.sandbox.traffic.proxy import lists_port, read_slice
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import together
from responder.verdicts import Result, Verdict
from responder.verification.claim import Claim
from responder.verification.prove_traffic import TrafficProof, prove_traffic
from responder.verification.snapshot import Snapshot
from responder.verification.traffic import assess_traffic
from responder.workloads.history import parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.views import EndpointSlice, Pod, Service
from responder.workloads.workload import parse_workload
from tests.flow.random_kinds import KINDS, Kind

NAMESPACE, NAME = "default", "payment-service"
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
# The one port of every Service here.
PORT = "http"
TICK_SECONDS = 0.5
# After the last proof or the deadline, so long is looked on.
AFTER = timedelta(seconds=75)
WITHIN = timedelta(minutes=4)

moments = st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0, 12.0, 30.0, 45.0])


@dataclass(frozen=True, slots=True)
class Tale:
    """One cluster and what befalls it; seconds count from the undo. `lag` is a share of the hold window."""

    replicas: int
    endpoints_per_slice: int
    hold_seconds: float
    lag: float
    terminate_after: str
    mid_rollout_seconds: float | None
    events: tuple[tuple[float, str], ...]
    faults: int | None
    seed: int
    kind: str = "Deployment"

    @property
    def lag_seconds(self) -> float:
        return self.lag * self.hold_seconds


def tales(lags: st.SearchStrategy[float], kind: str = "Deployment") -> st.SearchStrategy[Tale]:
    """Tales of that kind whose proxies lag by such a share of the hold window."""
    events = st.sampled_from(KINDS[kind].events)
    return st.builds(
        Tale,
        replicas=st.integers(1, 4),
        endpoints_per_slice=st.sampled_from([1, 2, 100]),
        hold_seconds=st.sampled_from([10.0, 20.0, 31.0]),
        lag=lags,
        terminate_after=st.sampled_from(["1s", "15s", "60s"]),
        mid_rollout_seconds=st.sampled_from([None, None, 0.5, 2.0]),
        events=st.lists(st.tuples(moments, events), max_size=5).map(lambda found: tuple(sorted(found))),
        faults=st.one_of(st.none(), st.integers(0, 10_000)),
        seed=st.integers(0, 1000),
        kind=st.just(kind),
    )


@dataclass
class Undone:
    """The cluster at and after the undo."""

    tale: Tale
    cluster: Cluster
    pods: PodDirectory
    oracle: Oracle
    traffic: Traffic
    claim: Claim
    mark: str
    undone_at: datetime
    template_changes: list[datetime] = field(default_factory=list)
    proof: TrafficProof | None = None
    looks: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        return KINDS[self.tale.kind]

    def workload(self) -> Object:
        return self.cluster.workload(self.tale.kind, NAMESPACE, NAME)

    def all(self, key: str) -> list[Object]:
        return self.cluster.store.list(key, NAMESPACE)

    def note(self, event: Event) -> None:
        """Keep when the template changed, and judge the verifier's verdicts on the store as it is now."""
        if event.resource.key == self.kind.key and event.object["spec"]["template"] != self.claim.template:
            self.template_changes.append(self.cluster.clock.now())
        watched = {self.kind.key, self.kind.revisions, *WATCHED}
        if event.resource.key in watched and not self.template_changes:
            self.judge()

    def judge(self) -> None:
        """Each verdict that passed has to be true of pods and slices as the sandbox sees them.

        By who owns a pod now; of the pods' own verdict, also by what they were made from.
        """
        self.looks += 1
        verdicts = {verdict.check: verdict for verdict in assess_traffic(self.snapshot(), self.claim)}
        self.wrong += [f"{check}: {why}" for check, why in self.untrue(verdicts)]

    def snapshot(self) -> Snapshot:
        """The present moment, as a look that takes no time."""
        workload = self.workload()
        pods = self.all("pods")
        return Snapshot(
            before=parse_workload(workload),
            history=parse_history(workload, self.all(self.kind.revisions), pods),
            pods=tuple(map(Pod, pods)),
            services=tuple(map(Service, self.all("services"))),
            slices=tuple(map(EndpointSlice, self.all("endpointslices.discovery.k8s.io"))),
        )

    def untrue(self, verdicts: dict[str, Verdict]) -> Iterable[tuple[str, str]]:
        """Which verdicts passed that must not have, by the sandbox's own knowledge of pods."""
        workload = self.workload()
        wanted, status = self.kind.wanted(workload), workload.get("status") or {}
        mine = [pod for pod in self.pods.all() if pod.namespace == NAMESPACE and pod.owner_uid]
        others = [pod.name for pod in mine if self.kind.mark_now(pod) != self.mark]
        if passed(verdicts, "NoOtherPods") and others:
            yield "NoOtherPods", f"{others} are there"
        target = [pod for pod in mine if self.kind.mark_now(pod) == self.mark]
        if passed(verdicts, "TargetPodsReady") and len(target) != wanted:
            yield "TargetPodsReady", f"{len(target)} pods, {wanted} wanted"
        strangers = [pod.name for pod in target if pod.origin.owner_uid != self.mark]
        if passed(verdicts, "TargetPodsReady") and strangers:
            yield "TargetPodsReady", f"{strangers} run another revision"
        if passed(verdicts, "ReplicasWanted") and wanted == 0:
            yield "ReplicasWanted", "none is wanted"
        counts = [status.get(name, 0) for name in self.kind.counts]
        if passed(verdicts, "RolloutComplete") and counts != [wanted] * 3:
            yield "RolloutComplete", f"{counts} of {wanted}"
        for check in verdicts:
            if check.startswith("Service/") and passed(verdicts, check):
                yield from ((check, why) for why in self.untrue_service(check.split("/")[1], wanted))

    def untrue_service(self, service: str, wanted: int) -> Iterable[str]:
        """What speaks against a Service that is said to send all traffic to the target."""
        slices = [
            each
            for each in self.all("endpointslices.discovery.k8s.io")
            if each["metadata"]["labels"].get("kubernetes.io/service-name") == service
        ]
        endpoints = [endpoint for each in slices for endpoint in read_slice(each)]
        for endpoint in endpoints:
            pod = self.pods.by_uid(endpoint.pod_uid)
            strange = pod is not None and self.kind.mark_now(pod) != self.mark
            if pod is not None and strange and (endpoint.ready or endpoint.serving):
                yield f"{pod.name} of another revision may get traffic"
        reached = [one for each in slices if lists_port(each, PORT) for one in read_slice(each)]
        ready = {one.pod_uid for one in reached if one.ready and not one.terminating}
        if len(ready) < wanted or not ready:
            yield f"{len(ready)} ready endpoints, {wanted} wanted"

    async def take(self, event: str) -> None:
        """Let one thing happen."""
        target, bad = self.owned(theirs=True), self.owned(theirs=False)
        match event.split():
            case ["scale", *how]:
                self.scale(" ".join(how))
            case ["stall", name]:
                self.cluster.controllers.stall(name)
            case ["resume", "all"]:
                self.resume()
            case ["flap", whose]:
                self.flap(target if whose == "target" else bad)
            case ["crash", "target"] | ["delete", *_] if target:
                self.cluster.store.delete("pods", NAMESPACE, target[0]["metadata"]["name"])
            case ["relabel", "bad", "as", what] if bad:
                # All at once, so that for a moment no label speaks of another revision any more.
                for pod in bad:
                    self.relabel(pod, self.target_hash() if what == "target" else "stranger")
            case ["touch", "workload"]:
                found = self.workload()
                found["metadata"].setdefault("annotations", {})["example.com/seen"] = event
                self.cluster.store.update(self.kind.key, found, manager="annotator")
            case ["release", version]:
                self.cluster.release(NAMESPACE, NAME, image=f"{NAME}:{version}", kind=self.tale.kind)
            case ["a", "node", "joins"]:
                node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-late"}}
                self.cluster.apply(node)
            case ["second", "service"]:
                self.cluster.apply(manifests.service("payment-internal", app=NAME))
            case ["retarget", "service"]:
                # To a port by a name that no pod has: they stay ready, and their slice lists no port.
                port = {"name": PORT, "port": 80, "targetPort": "web"}
                self.cluster.apply(manifests.service(NAME, ports=[port]))
            case _:
                pass

    def owned(self, *, theirs: bool) -> list[Object]:
        """The pods that are the target's at present, or those that are another revision's."""
        found = [p for p in self.all("pods") if p["metadata"].get("ownerReferences")]
        return [p for p in found if (self.kind.mark_now(read_pod(p)) == self.mark) == theirs]

    def target_hash(self) -> str:
        for each in self.all(self.kind.revisions):
            if each["metadata"]["uid"] == self.claim.target_uid:
                return self.kind.hash_of(each)
        raise AssertionError("the target is gone")

    def relabel(self, pod: Object, value: str) -> None:
        pod["metadata"]["labels"][self.kind.hash_label] = value
        self.cluster.store.update("pods", pod, manager="kubectl")

    def scale(self, how: str) -> None:
        found = self.workload()
        now = found["spec"]["replicas"]
        wanted = {"up": now + 1, "down": max(1, now - 1), "to zero": 0, "back": self.tale.replicas}[how]
        found["spec"]["replicas"] = wanted
        self.cluster.store.update(self.kind.key, found, manager="autoscaler")

    def flap(self, pods: list[Object]) -> None:
        for wanted in ("False", "True"):
            for pod in pods[:1]:
                fresh = self.cluster.store.get("pods", NAMESPACE, pod["metadata"]["name"])
                for condition in (fresh or {}).get("status", {}).get("conditions") or ():
                    if condition["type"] == "Ready":
                        condition["status"] = wanted
                if fresh is not None:
                    self.cluster.store.update("pods", fresh, manager="kubelet", subresource="status")

    def resume(self) -> None:
        for name in ("endpointslice", *self.kind.controllers, "kubelet"):
            self.cluster.controllers.resume(name)

    async def befall(self) -> None:
        """Everything of the tale, in its time; what stalls goes on in the end."""
        began = self.undone_at
        for seconds, event in self.tale.events:
            due = began + timedelta(seconds=seconds) - self.cluster.clock.now()
            await self.cluster.clock.sleep(max(0.0, due.total_seconds()))
            await self.take(event)
        await self.cluster.clock.sleep(60)
        self.resume()

    async def prove(self, folder: Path) -> None:
        """Prove it through a client of its own, and look on for a while."""
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(self.cluster.kubeconfig()), encoding="utf-8")
        clock = self.cluster.clock
        kubernetes = await connect(path, clock=clock)
        try:
            self.proof = await prove_traffic(
                kubernetes,
                clock,
                self.claim,
                deadline_at=self.undone_at + WITHIN,
                hold=timedelta(seconds=self.tale.hold_seconds),
            )
        finally:
            await kubernetes.close()
        await clock.sleep(AFTER.total_seconds())

    @property
    def proven(self) -> bool:
        return self.proof is not None and self.proof.result is Result.PASSED

    def astray(self) -> dict[str, int]:
        """Requests to other revisions than the target after the proof, until the template changed again."""
        assert self.proof is not None
        since = self.proof.proven_at
        until = next((at for at in self.template_changes if since is not None and at > since), None)
        served = self.oracle.requests_by_revision(since, until)
        return {uid: tally.requests for uid, tally in served.items() if uid != self.mark}

    def refused(self) -> int:
        """Requests after the proof that nobody took."""
        assert self.proof is not None
        return self.oracle.refused(self.proof.proven_at)


WATCHED = ("pods", "services", "endpointslices.discovery.k8s.io")


def passed(verdicts: dict[str, Verdict], check: str) -> bool:
    return check in verdicts and verdicts[check].passed


@asynccontextmanager
async def undone(tale: Tale) -> AsyncIterator[Undone]:
    """Good, then bad, then good again: the cluster right after the undo, with traffic on it."""
    clock = LoopClock(START)
    async with Cluster.start(
        clock=clock, seed=tale.seed, endpoints_per_slice=tale.endpoints_per_slice
    ) as cluster:
        cluster.apply(manifests.service(NAME))
        kind = KINDS[tale.kind]
        cluster.apply(kind.manifest(NAME, tale.replicas, f"{NAME}:v1"))
        workload = await cluster.rollout_complete(NAMESPACE, NAME, kind=tale.kind)
        (good,) = cluster.store.list(kind.revisions, NAMESPACE)
        pods, oracle = PodDirectory(cluster.store), Oracle()
        traffic = Traffic(
            cluster.store,
            clock,
            NAMESPACE,
            NAME,
            60.0,
            pods=pods,
            metrics=PodMetrics(pods, seed=tale.seed),
            oracle=oracle,
            tick_seconds=TICK_SECONDS,
            proxy_lag_seconds=tale.lag_seconds,
            seed=tale.seed,
        )
        async with together() as group:
            running: Any = group.create_task(traffic.run())
            undo = await undo_bad(cluster, tale, good["metadata"]["uid"])
            mark = kind.mark(workload, good)
            here = Undone(tale, cluster, pods, oracle, traffic, undo, mark, clock.now())
            unsubscribe = cluster.store.subscribe(here.note)
            try:
                yield here
            finally:
                unsubscribe()
                running.cancel()
                pods.close()


async def undo_bad(cluster: Cluster, tale: Tale, target_uid: str) -> Claim:
    """Release the bad version, complete or half way, and put the good template back."""
    template = cluster.workload(tale.kind, NAMESPACE, NAME)["spec"]["template"]
    behaviour = {"sandbox.responder.dev/terminate-after": tale.terminate_after}
    cluster.release(NAMESPACE, NAME, image=f"{NAME}:v2", annotations=behaviour, kind=tale.kind)
    if tale.mid_rollout_seconds is None:
        await cluster.rollout_complete(NAMESPACE, NAME, kind=tale.kind)
        await cluster.clock.sleep(max(5.0, tale.lag_seconds))
    else:
        await cluster.clock.sleep(tale.mid_rollout_seconds)
    found = cluster.workload(tale.kind, NAMESPACE, NAME)
    bad, found["spec"]["template"] = found["spec"]["template"], template
    found = cluster.store.update(KINDS[tale.kind].key, found, manager="responder")
    return Claim(
        key=WorkloadKey(NAMESPACE, tale.kind, NAME),
        workload_uid=found["metadata"]["uid"],
        target_uid=target_uid,
        template=found["spec"]["template"],
        generation=found["metadata"]["generation"],
        services=(NAME,),
        stale_progressing_at=None,
        bad=bad,
    )


async def play(tale: Tale, folder: Path) -> Undone:
    """The tale from the undo to long after its proof."""
    async with undone(tale) as here:
        if tale.faults is not None:
            plan = draw_plan(tale.faults, here.cluster.clock.now(), timedelta(seconds=90))
            async with together() as group:
                playing = group.create_task(here.cluster.play(plan))
                befalling = group.create_task(here.befall())
                await here.prove(folder)
                playing.cancel()
                befalling.cancel()
        else:
            async with together() as group:
                befalling = group.create_task(here.befall())
                await here.prove(folder)
                befalling.cancel()
        return here
