"""The kinds of workload that random undos are told of: their objects, what may befall them, whose a pod is.

A Deployment's pod is of the ReplicaSet that owns it. Of the other kinds the workload owns it, and its label
tells the revision; what a pod was made from, the sandbox knows in any case.
"""

from __future__ import annotations

from dataclasses import dataclass

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object
from responder.sandbox.cluster import WORKLOADS
from responder.sandbox.traffic import PodFacts

_EVERY = (
    *("flap target", "flap bad", "crash target", "relabel bad as stranger"),
    *("stall endpointslice", "stall kubelet", "resume all"),
    *("touch workload", "release v3", "delete a target pod", "second service", "retarget service"),
)
_SCALED = ("scale up", "scale down", "scale to zero", "scale back")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: the keys of its objects, its events, its controllers, and what it counts when complete."""

    name: str
    revisions: str
    hash_label: str
    events: tuple[str, ...]
    controllers: tuple[str, ...]
    counts: tuple[str, ...]

    @property
    def key(self) -> str:
        return WORKLOADS[self.name]

    def manifest(self, name: str, replicas: int, image: str) -> Object:
        """One that runs that image; a DaemonSet on every node, whatever their number."""
        match self.name:
            case "StatefulSet":
                return manifests.statefulset(name, replicas=replicas, image=image)
            case "DaemonSet":
                return manifests.daemonset(name, image=image)
            case _:
                return manifests.deployment(name, replicas=replicas, image=image)

    def wanted(self, workload: Object) -> int:
        """How many pods there are to be."""
        if self.name == "DaemonSet":
            return int((workload.get("status") or {}).get("desiredNumberScheduled", 0))
        return int(workload["spec"]["replicas"])

    def mark(self, workload: Object, revision: Object) -> str:
        """By what its pods are told from others, and by what the oracle calls it."""
        if self.name == "Deployment":
            return str(revision["metadata"]["uid"])
        return f"{workload['metadata']['uid']}/{self.hash_of(revision)}"

    def hash_of(self, revision: Object) -> str:
        """What its pods carry in their label. Of a StatefulSet it is the revision's name."""
        metadata = revision["metadata"]
        return str(metadata["name"] if self.name == "StatefulSet" else metadata["labels"][self.hash_label])

    def mark_now(self, pod: PodFacts) -> str:
        """Whose the pod is at present."""
        if self.name == "Deployment":
            return pod.owner_uid
        return f"{pod.owner_uid}/{pod.controller_revision_hash}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "Deployment",
            "replicasets.apps",
            "pod-template-hash",
            # The label of another revision changes nothing of whose a Deployment's pod is.
            (*_SCALED, *_EVERY, "relabel bad as target", "stall deployment", "stall replicaset"),
            ("deployment", "replicaset"),
            ("replicas", "updatedReplicas", "availableReplicas"),
        ),
        Kind(
            "StatefulSet",
            "controllerrevisions.apps",
            "controller-revision-hash",
            (*_SCALED, *_EVERY, "stall statefulset"),
            ("statefulset",),
            ("replicas", "updatedReplicas", "availableReplicas"),
        ),
        Kind(
            "DaemonSet",
            "controllerrevisions.apps",
            "controller-revision-hash",
            (*_EVERY, "a node joins", "stall daemonset"),
            ("daemonset",),
            ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable"),
        ),
    )
}
