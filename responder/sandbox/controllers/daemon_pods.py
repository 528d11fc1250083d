"""A DaemonSet's pods: on which nodes one belongs, what it looks like there, and which to replace next.

Pure: reads the set, the nodes and the pods, and answers with one pass's steps and the status numbers.
Called by the DaemonSet controller.
Source: Kubernetes pkg/controller/daemon/{daemon_controller,update}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from responder.sandbox.api.objects import Object, copied, name_of, namespace_of
from responder.sandbox.controllers.fields import (
    annotations_of,
    creation_order,
    is_deleting,
    labels_of,
    owner_reference,
)
from responder.sandbox.controllers.history import REVISION_HASH
from responder.sandbox.controllers.nodes import node_named_by, takes
from responder.sandbox.controllers.pods import has_ended, is_available, is_ready, node_of
from responder.sandbox.controllers.rolling import resolve

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_POD_GENERATION = "pod-template-generation"
_TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
PodsByNode = Mapping[str, Sequence[Object]]


@dataclass(slots=True)
class Plan:
    """One pass: pods to delete, and nodes that are to get a pod."""

    deletions: list[Object] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _OnNode:
    """What runs on a node: at most one pod of the present template, at most one of an older one."""

    new: Object | None
    old: Object | None


def by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    """The pods by the node they are on, or are meant for while nobody has bound them; oldest first."""
    found: dict[str, list[Object]] = {}
    for pod in sorted(pods, key=creation_order):
        found.setdefault(node_of(pod) or node_named_by(pod["spec"]), []).append(pod)
    return found


def should_run(daemon_set: Object, node: Object) -> bool:
    """Whether a pod of the set belongs on the node; a cordoned one gets it all the same."""
    return takes(node, daemon_set["spec"]["template"]["spec"], cordoned=True)


def plan_presence(daemon_set: Object, nodes: Sequence[Object], pods: PodsByNode, hash_value: str) -> Plan:
    """The steps that bring one pod to each node that is to have one, and to no other."""
    plan = Plan()
    for node in nodes:
        here = pods.get(name_of(node), ())
        if not should_run(daemon_set, node):
            plan.deletions += [pod for pod in here if not is_deleting(pod)]
            continue
        staying = [pod for pod in here if not is_deleting(pod)]
        plan.deletions += [pod for pod in staying if has_ended(pod)]
        running = [pod for pod in staying if not has_ended(pod)]
        surging = _surge(daemon_set, len(nodes)) > 0
        if not here or (surging and not running):
            plan.nodes.append(name_of(node))
        elif len(running) > 1 and not (surging and _pair(running, hash_value) is not None):
            plan.deletions += running[1:]
    for name in pods.keys() - {name_of(node) for node in nodes}:
        plan.deletions += [pod for pod in pods[name] if not is_deleting(pod)]
    return plan


def plan_update(
    daemon_set: Object, nodes: Sequence[Object], pods: PodsByNode, hash_value: str, now: datetime
) -> Plan:
    """The steps of a rolling update: pods that are not available at once, others within the limit."""
    wanted = [node for node in nodes if should_run(daemon_set, node)]
    surge, unavailable = _surge(daemon_set, len(wanted)), _unavailable(daemon_set, len(wanted))
    pairs = {name_of(node): _pair(_alive(pods.get(name_of(node), ())), hash_value) for node in wanted}
    wait = _min_ready_seconds(daemon_set)
    if surge:
        return _plan_surge(pairs, surge, wait, now)
    missing, plan = 0, Plan()
    candidates: list[Object] = []
    for pair in pairs.values():
        if pair is None or (pair.new is None) == (pair.old is None):
            missing += 1
        elif pair.new is not None:
            missing += not is_available(pair.new, wait, now)
        elif pair.old is not None and is_available(pair.old, wait, now):
            candidates.append(pair.old)
        elif pair.old is not None:
            plan.deletions.append(pair.old)
            missing += 1
    plan.deletions += candidates[: max(0, unavailable - missing)]
    return plan


def _plan_surge(pairs: Mapping[str, _OnNode | None], surge: int, wait: int, now: datetime) -> Plan:
    """New pods beside old ones, as many as may be on their way; an old one goes once its successor serves."""
    plan, under_way = Plan(), 0
    candidates: list[str] = []
    for name, pair in pairs.items():
        if pair is None:
            under_way += 1
        elif pair.old is None:
            continue
        elif pair.new is not None:
            if is_available(pair.new, wait, now) or not is_available(pair.old, wait, now):
                plan.deletions.append(pair.old)
            else:
                under_way += 1
        elif is_available(pair.old, wait, now):
            candidates.append(name)
        else:
            plan.nodes.append(name)
    plan.nodes += candidates[: max(0, surge - under_way)]
    return plan


def new_pod(daemon_set: Object, node_name: str, hash_value: str) -> Object:
    """The pod for a node, not created yet: bound to it by affinity, and tolerating what ails nodes."""
    template: Object = copied(daemon_set["spec"]["template"])
    spec: Object = template["spec"]
    tolerations = spec.get("tolerations") or []
    for condition, effect in _TOLERATED:
        key = f"node.kubernetes.io/{condition}"
        tolerations.append({"key": key, "operator": "Exists", "effect": effect})
    spec["tolerations"] = tolerations
    field = {"key": "metadata.name", "operator": "In", "values": [node_name]}
    node_affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
        "nodeSelectorTerms": [{"matchFields": [field]}]
    }
    generation = annotations_of(daemon_set).get(TEMPLATE_GENERATION, "")
    metadata: Object = {
        "generateName": f"{name_of(daemon_set)}-",
        "namespace": namespace_of(daemon_set),
        "labels": labels_of(template) | {_POD_GENERATION: generation, REVISION_HASH: hash_value},
        "ownerReferences": [owner_reference(daemon_set, "apps/v1", "DaemonSet")],
    }
    if annotations_of(template):
        metadata["annotations"] = dict(annotations_of(template))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def counted(
    daemon_set: Object, nodes: Sequence[Object], pods: PodsByNode, hash_value: str, now: datetime
) -> dict[str, Any]:
    """The status numbers, in nodes and not in pods: of each node its oldest pod counts."""
    first = {
        name_of(node): pods[name_of(node)][0]
        for node in nodes
        if should_run(daemon_set, node) and pods.get(name_of(node))
    }
    desired = sum(should_run(daemon_set, node) for node in nodes)
    ready = [pod for pod in first.values() if is_ready(pod)]
    available = sum(is_available(pod, _min_ready_seconds(daemon_set), now) for pod in ready)
    misplaced = [node for node in nodes if not should_run(daemon_set, node) and pods.get(name_of(node))]
    return {
        "currentNumberScheduled": len(first),
        "numberMisscheduled": len(misplaced),
        "desiredNumberScheduled": desired,
        "numberReady": len(ready),
        "updatedNumberScheduled": sum(
            labels_of(pod).get(REVISION_HASH) == hash_value for pod in first.values()
        ),
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }


def _pair(pods: Sequence[Object], hash_value: str) -> _OnNode | None:
    """What runs on a node; None when there is more than one of a kind, which is to be cleaned up first."""
    new = [pod for pod in pods if labels_of(pod).get(REVISION_HASH) == hash_value]
    old = [pod for pod in pods if labels_of(pod).get(REVISION_HASH) != hash_value]
    if len(new) > 1 or len(old) > 1:
        return None
    return _OnNode(new[0] if new else None, old[0] if old else None)


def _alive(pods: Iterable[Object]) -> list[Object]:
    return [pod for pod in pods if not is_deleting(pod) and not has_ended(pod)]


def _limit(daemon_set: Object, name: str, default: int, nodes: int) -> int:
    limits = daemon_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    return resolve(limits.get(name, default), nodes, round_up=True)


def _surge(daemon_set: Object, nodes: int) -> int:
    if daemon_set["spec"]["updateStrategy"].get("type") == "OnDelete":
        return 0
    return _limit(daemon_set, "maxSurge", 0, nodes)


def _unavailable(daemon_set: Object, nodes: int) -> int:
    unavailable = _limit(daemon_set, "maxUnavailable", 1, nodes)
    # Percentages of few nodes can both come to 0, and then nothing could ever move.
    return unavailable if unavailable or _surge(daemon_set, nodes) else 1


def _min_ready_seconds(daemon_set: Object) -> int:
    return int(daemon_set["spec"].get("minReadySeconds") or 0)
