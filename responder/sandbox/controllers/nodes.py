"""Which nodes take which pods: by selector, by affinity to a name, and not when they are somebody else's.

Pure. Called by the scheduler and by the DaemonSet controller.
"""

from __future__ import annotations

from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.controllers.fields import annotations_of, labels_of

# A Node with this annotation is run by others: nothing is scheduled there, and no kubelet of ours serves it.
EXTERNAL = "sandbox.responder.dev/external"


def is_external(node: Object) -> bool:
    """Whether somebody else plays this node's kubelet."""
    return annotations_of(node).get(EXTERNAL) == "true"


def takes(node: Object, pod_spec: Object, *, cordoned: bool = False) -> bool:
    """Whether a pod of this spec may run on the node; cordoned: also when it is closed to new pods."""
    selector = (pod_spec.get("nodeSelector") or {}).items()
    if is_external(node) or not selector <= labels_of(node).items():
        return False
    closed = bool((node.get("spec") or {}).get("unschedulable"))
    meant_for = node_named_by(pod_spec)
    # Who names a node in this way is a DaemonSet, whose pods tolerate that it is closed.
    return meant_for == name_of(node) if meant_for else cordoned or not closed


def node_named_by(pod_spec: Object) -> str:
    """The node that the pod's affinity names, as a DaemonSet's pods do; empty when it names none."""
    node_affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for field in term.get("matchFields") or []:
            if field["key"] == "metadata.name" and field["operator"] == "In":
                return str(field["values"][0])
    return ""
