"""A live view of the pods in the store, with what traffic and scraping need to know of each.

Kept up to date by the store's events, so that a tick of traffic costs no copies. Read by the traffic, the
metrics listeners and scraping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from responder.sandbox.api.store import Event, Store
from responder.sandbox.traffic.behaviour import (
    ERROR_RATE,
    LATENCY_P95,
    Behaviour,
    BehaviourError,
    parse_behaviour,
)

PODS = "pods"
REPLICA_SETS = "replicasets.apps"
TEMPLATE_HASH = "pod-template-hash"
REVISION_HASH = "controller-revision-hash"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose template the pod was made from: what runs in it, whoever owns it or labels it now."""

    owner_name: str
    owner_uid: str
    pod_template_hash: str


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod as traffic sees it; owner and hash are what the object says at present.

    crashed: it waits to be restarted.
    """

    namespace: str
    name: str
    uid: str
    ip: str
    running: bool
    crashed: bool
    restarts: int
    pod_template_hash: str
    controller_revision_hash: str
    owner_kind: str
    owner_name: str
    owner_uid: str
    error_rate: str | None
    latency_p95: str | None
    origin: Origin

    @property
    def answers(self) -> bool:
        """Whether a connection to it is accepted: also while it terminates, until it is gone."""
        return self.running and self.ip != "" and not self.crashed

    @property
    def behaviour(self) -> Behaviour:
        """How it answers; as by default where an annotation can't be read, which its kubelet tells of."""
        try:
            return parse_behaviour(self.error_rate, self.latency_p95)
        except BehaviourError:
            return Behaviour()


class PodDirectory:
    """All pods by UID and by address, and the Deployments that own their ReplicaSets."""

    def __init__(self, store: Store) -> None:
        self._pods: dict[str, PodFacts] = {}
        self._uid_by_ip: dict[str, str] = {}
        self._deployments: dict[str, str] = {}
        self._listeners: list[Callable[[PodFacts, bool], None]] = []
        for pod in store.list(PODS):
            self._put(pod)
        for replica_set in store.list(REPLICA_SETS):
            self._put_replica_set(replica_set)
        self._unsubscribe = store.subscribe(self._on_event)

    def close(self) -> None:
        """Stop following the store."""
        self._unsubscribe()

    def on_change(self, listener: Callable[[PodFacts, bool], None]) -> Callable[[], None]:
        """Call the listener with each pod that changed and whether it still exists; returns how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def all(self) -> Iterable[PodFacts]:
        """Every pod, by namespace and name."""
        return sorted(self._pods.values(), key=lambda pod: (pod.namespace, pod.name))

    def by_uid(self, uid: str) -> PodFacts | None:
        """The pod of this UID, if it exists."""
        return self._pods.get(uid)

    def by_ip(self, ip: str) -> PodFacts | None:
        """The pod that has this address now."""
        return self._pods.get(self._uid_by_ip.get(ip, ""))

    def deployment_of(self, pod: PodFacts) -> str:
        """The name of the Deployment the pod belongs to, "" when it belongs to none."""
        return self._deployments.get(pod.owner_uid, "") if pod.owner_kind == "ReplicaSet" else ""

    def _on_event(self, event: Event) -> None:
        if event.resource.key == REPLICA_SETS and event.type != "DELETED":
            self._put_replica_set(event.object)
        elif event.resource.key == REPLICA_SETS:
            self._deployments.pop(event.object["metadata"]["uid"], None)
        elif event.resource.key == PODS and event.type == "DELETED":
            self._remove(event.object["metadata"]["uid"])
        elif event.resource.key == PODS:
            self._put(event.object)

    def _put_replica_set(self, replica_set: dict[str, Any]) -> None:
        owner = _controller(replica_set)
        if owner.get("kind") == "Deployment":
            self._deployments[replica_set["metadata"]["uid"]] = owner["name"]

    def _put(self, obj: dict[str, Any]) -> None:
        known = self._pods.get(obj["metadata"]["uid"])
        pod = read_pod(obj, None if known is None else known.origin)
        self._pods[pod.uid] = pod
        if pod.ip:
            self._uid_by_ip[pod.ip] = pod.uid
        for listener in list(self._listeners):
            listener(pod, True)

    def _remove(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        if self._uid_by_ip.get(pod.ip) == uid:
            del self._uid_by_ip[pod.ip]
        for listener in list(self._listeners):
            listener(pod, False)


def read_pod(obj: dict[str, Any], origin: Origin | None = None) -> PodFacts:
    """The facts of a Pod object; without an origin it was just made, by its present owner."""
    metadata, status, owner = obj["metadata"], obj.get("status") or {}, _controller(obj)
    annotations = metadata.get("annotations") or {}
    template_hash = (metadata.get("labels") or {}).get(TEMPLATE_HASH, "")
    revision_hash = (metadata.get("labels") or {}).get(REVISION_HASH, "")
    containers = status.get("containerStatuses") or []
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        ip=status.get("podIP", ""),
        running=status.get("phase") == "Running",
        crashed=any("waiting" in (each.get("state") or {}) for each in containers),
        restarts=sum(each.get("restartCount", 0) for each in containers),
        pod_template_hash=template_hash,
        controller_revision_hash=revision_hash,
        owner_kind=owner.get("kind", ""),
        owner_name=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        error_rate=annotations.get(ERROR_RATE),
        latency_p95=annotations.get(LATENCY_P95),
        origin=origin or _origin(owner, template_hash, revision_hash),
    )


def _origin(owner: dict[str, Any], template_hash: str, revision_hash: str) -> Origin:
    """Pods of one StatefulSet or DaemonSet have one owner: the revision tells their templates apart."""
    uid = owner.get("uid", "")
    return Origin(owner.get("name", ""), f"{uid}/{revision_hash}" if revision_hash else uid, template_hash)


def _controller(obj: dict[str, Any]) -> dict[str, Any]:
    owners: list[dict[str, Any]] = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})
