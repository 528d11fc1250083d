"""Plays scheduler and kubelets: binds pods to nodes, gives them addresses, makes them ready, lets them end.

How a pod behaves is written in its annotations (sandbox.responder.dev/...); where one of them can't be read,
the pod is left as it is until it is deleted. Pods on a Node that carries the annotation
sandbox.responder.dev/external are somebody else's to run. Called by the runner.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from responder.clock import Clock
from responder.errors import ResponderError
from responder.sandbox.api.managed_fields import entries_of
from responder.sandbox.api.objects import Object, name_of, namespace_of, seconds_text
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers.addresses import PodNetwork
from responder.sandbox.controllers.container_statuses import containers_of, crashing_containers_of
from responder.sandbox.controllers.crashes import runs_by
from responder.sandbox.controllers.fields import (
    annotations_of,
    generation_of,
    is_deleting,
    status_of,
    uid_of,
)
from responder.sandbox.controllers.lifecycle import Lifecycle, parse_lifecycle
from responder.sandbox.controllers.nodes import is_external, takes
from responder.sandbox.controllers.pods import has_ended, is_ready, node_of, ready_since
from responder.sandbox.controllers.recorder import EventRecorder
from responder.sandbox.traffic.behaviour import ERROR_RATE, LATENCY_P95, parse_behaviour

PODS, NODES = "pods", "nodes"
NODE_NAMES = ("node-1", "node-2", "node-3")
Key = tuple[str, str]


@dataclass(slots=True)
class _Life:
    """What a kubelet remembers of one pod, for the API's times are cut to seconds."""

    seen_at: datetime
    ready_at: datetime | None = None
    terminating_at: datetime | None = None
    addresses: tuple[str, ...] = ()


class Kubelet:
    """Every node's kubelet, and the scheduler that feeds them."""

    name = "kubelet"
    primary = PODS
    # Nodes work side by side.
    keys_per_pass = 1000

    def __init__(self, store: Store, clock: Clock, pod_network: str = "10.244.0.0/16") -> None:
        self._store = store
        self._clock = clock
        self._recorder = EventRecorder(store, clock, "kubelet")
        self._addresses = PodNetwork(pod_network)
        self._lives: dict[str, _Life] = {}
        self._turn = 0

    def register_nodes(self) -> None:
        """Create the Nodes that are not there yet."""
        for number, name in enumerate(NODE_NAMES, start=1):
            if self._store.get(NODES, "", name) is None:
                self._store.create(NODES, _node(name, number, self._clock.now()), manager="kubelet")

    def keys(self, event: Event) -> Iterable[Key]:
        """The pods that an event may concern."""
        if event.resource.key == PODS:
            if event.type == "DELETED":
                self._forget(uid_of(event.object))
            else:
                yield namespace_of(event.object), name_of(event.object)
        elif event.resource.key == NODES and event.type != "DELETED":
            for pod in self._store.scan(PODS):
                if not node_of(pod):
                    yield namespace_of(pod), name_of(pod)

    def sync(self, key: Key) -> float | None:
        """Take one pod a step further; the seconds until its next step, None when none is due."""
        pod = self._store.get(PODS, *key)
        if pod is None or has_ended(pod):
            return None
        if not node_of(pod):
            self._bind(pod)
            return None
        node = self._store.get(NODES, "", node_of(pod))
        if node is None or is_external(node):
            return None
        life = self._life(pod)
        lifecycle = self._read_lifecycle(pod)
        if is_deleting(pod):
            return self._terminate(pod, life, lifecycle or Lifecycle())
        if lifecycle is None:
            return None
        if not status_of(pod).get("podIP"):
            self._start(pod, node, life)
            return None
        return self._probe(pod, life, lifecycle)

    def _read_lifecycle(self, pod: Object) -> Lifecycle | None:
        """What the pod's annotations say; None, told in an Event, where one of them can't be read."""
        annotations = annotations_of(pod)
        try:
            parse_behaviour(annotations.get(ERROR_RATE), annotations.get(LATENCY_P95))
            return parse_lifecycle(annotations)
        except ResponderError as error:
            self._recorder.record(pod, "InvalidBehaviour", str(error), warning=True)
            return None

    def _life(self, pod: Object) -> _Life:
        """What is remembered of the pod; of one that ran before the kubelet did, what its status tells."""
        life = self._lives.get(uid_of(pod))
        if life is None:
            addresses = tuple(str(each["ip"]) for each in status_of(pod).get("podIPs") or [])
            life = _Life(self._clock.now(), ready_at=ready_since(pod), addresses=addresses)
            self._lives[uid_of(pod)] = life
            self._addresses.reserve(addresses)
        return life

    def _bind(self, pod: Object) -> None:
        """Schedule the pod on one of the nodes it may run on, in turn; without one it waits, Pending."""
        if pod["spec"].get("schedulerName", "default-scheduler") != "default-scheduler":
            return
        nodes = [node for node in self._store.scan(NODES) if takes(node, pod["spec"])]
        if not nodes:
            return
        self._life(pod)
        pod["spec"]["nodeName"] = name_of(nodes[self._turn % len(nodes)])
        self._turn += 1
        # A binding owns no field.
        kept = entries_of(pod)
        bound = self._store.update(
            PODS, pod, manager="kube-scheduler", subresource="binding", managed_fields=kept
        )
        bound["status"]["conditions"] = [_condition("PodScheduled", True, self._clock.now())]
        self._store.update(PODS, bound, manager="kube-scheduler", subresource="status")

    def _start(self, pod: Object, node: Object, life: _Life) -> None:
        now = self._clock.now()
        life.addresses = life.addresses or self._addresses.allocate()
        addresses = status_of(node).get("addresses") or []
        host = next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
        pod["status"] |= {
            "phase": "Running",
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "podIP": life.addresses[0],
            "podIPs": [{"ip": address} for address in life.addresses],
            "startTime": seconds_text(now),
            "observedGeneration": generation_of(pod),
        }
        self._write_state(pod, containers_of(pod, ready=False), ready=False)

    def _probe(self, pod: Object, life: _Life, lifecycle: Lifecycle) -> float | None:
        """Make the pod ready or not ready as its lifecycle says by now."""
        now = self._clock.now()
        if lifecycle.crash_every is not None:
            return self._run_crashing(pod, life.seen_at, lifecycle, lifecycle.crash_every)
        life.ready_at = life.ready_at or life.seen_at + lifecycle.ready_after
        ready = not lifecycle.never_ready and now >= life.ready_at
        next_at = life.ready_at if now < life.ready_at and not lifecycle.never_ready else None
        if lifecycle.unready_after is not None and ready:
            turns_at = life.ready_at + lifecycle.unready_after
            ready = now < turns_at
            next_at = turns_at if ready else None
        if ready != is_ready(pod):
            self._write_state(pod, containers_of(pod, ready=ready), ready=ready)
        return (next_at - now).total_seconds() if next_at is not None else None

    def _run_crashing(self, pod: Object, first_at: datetime, lifecycle: Lifecycle, every: timedelta) -> float:
        """Let the containers run, crash and wait for their restart, as far as they have come by now."""
        now = self._clock.now()
        before, run = runs_by(now, first_at, every)
        ready_at = run.began_at + lifecycle.ready_after
        ready = not lifecycle.never_ready and ready_at <= now < run.ends_at
        self._write_state(pod, crashing_containers_of(pod, before, run, now, ready=ready), ready=ready)
        if now >= run.ends_at:
            for each in pod["spec"]["containers"]:
                message = f"Back-off restarting failed container {each['name']} in pod {name_of(pod)}"
                self._recorder.record(pod, "BackOff", message, warning=True)
        ahead = (at for at in (ready_at, run.ends_at, run.resumes_at) if at > now)
        return (min(ahead) - now).total_seconds()

    def _terminate(self, pod: Object, life: _Life, lifecycle: Lifecycle) -> float | None:
        """Let a deleted pod go once it has had its time; until then it serves as it did."""
        now = self._clock.now()
        life.terminating_at = life.terminating_at or now
        gone_at = life.terminating_at + lifecycle.terminate_after
        if now < gone_at:
            return (gone_at - now).total_seconds()
        self._store.delete(PODS, namespace_of(pod), name_of(pod), uid=uid_of(pod), grace_seconds=0)
        return None

    def _write_state(self, pod: Object, containers: list[Object], *, ready: bool) -> None:
        now = self._clock.now()
        before = {each["type"]: each for each in status_of(pod).get("conditions") or []}
        truths = {
            "PodReadyToStartContainers": True,
            "Initialized": True,
            "Ready": ready,
            "ContainersReady": ready,
            "PodScheduled": True,
        }
        conditions = []
        for kind, truth in truths.items():
            found = _condition(kind, truth, now)
            if kind != "PodScheduled":
                found["observedGeneration"] = generation_of(pod)
            if not truth:
                found |= {"reason": "ContainersNotReady", "message": _not_ready_message(pod)}
            if kind in before and before[kind]["status"] == found["status"]:
                found["lastTransitionTime"] = before[kind]["lastTransitionTime"]
            conditions.append(found)
        pod["status"] |= {"conditions": conditions, "containerStatuses": containers}
        self._store.update(PODS, pod, manager="kubelet", subresource="status")

    def _forget(self, uid: str) -> None:
        life = self._lives.pop(uid, None)
        if life is not None:
            self._addresses.release(life.addresses)


def _condition(kind: str, truth: bool, now: datetime) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True" if truth else "False",
        "lastProbeTime": None,
        "lastTransitionTime": seconds_text(now),
    }


def _not_ready_message(pod: Object) -> str:
    names = " ".join(each["name"] for each in pod["spec"]["containers"])
    return f"containers with unready status: [{names}]"


def _node(name: str, number: int, now: datetime) -> Object:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "the sandbox's kubelet is ready",
        "lastHeartbeatTime": seconds_text(now),
        "lastTransitionTime": seconds_text(now),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "conditions": [ready],
            "addresses": [
                {"type": "InternalIP", "address": f"172.30.0.{number}"},
                {"type": "Hostname", "address": name},
            ],
        },
    }
