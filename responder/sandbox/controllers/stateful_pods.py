"""A StatefulSet's pods: their ordinals, names and identity, and what is to be done to which of them next.

Pure: reads the set and its pods and answers with one pass's steps. Called by the StatefulSet controller.
Source: Kubernetes pkg/controller/statefulset/{stateful_set_control,stateful_set_utils}.go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.sandbox.api.objects import Object, copied, name_of, namespace_of
from responder.sandbox.controllers import history
from responder.sandbox.controllers.fields import (
    annotations_of,
    is_deleting,
    labels_of,
    owner_reference,
    status_of,
    wanted_replicas,
)
from responder.sandbox.controllers.pods import has_ended, is_available, is_ready

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"(.*)-(\d+)")


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revision that pods are to come to, and the one they come from (the same when nothing rolls)."""

    current: Object
    update: Object


@dataclass(frozen=True, slots=True)
class Create:
    """Create this pod."""

    pod: Object


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete this pod; for_update when it makes room for a newer one of the same name."""

    pod: Object
    for_update: bool = False


Step = Create | Delete


def ordinal_of(stateful_set: Object, pod: Object) -> int | None:
    """The pod's ordinal; None when its name is not one of this set's."""
    found = _ORDINAL.fullmatch(name_of(pod))
    return int(found[2]) if found is not None and found[1] == name_of(stateful_set) else None


def revision_name_of(pod: Object) -> str:
    """The name of the revision that the pod was made from."""
    return labels_of(pod).get(history.REVISION_HASH, "")


def plan_pass(
    stateful_set: Object, pods: Sequence[Object], revisions: Revisions, now: datetime
) -> list[Step]:
    """The steps of one pass: missing pods first, then those too many, then an update, highest ordinal first.

    Under OrderedReady one step at most, and none while a pod before it is not available: a pod that never
    becomes ready holds up everything behind it, its own replacement too. Parallel waits for nobody.
    """
    numbered = {ordinal_of(stateful_set, pod): pod for pod in pods}
    wanted = range(_first_ordinal(stateful_set), _first_ordinal(stateful_set) + wanted_replicas(stateful_set))
    replicas = [numbered.get(ordinal) for ordinal in wanted]
    condemned = [
        numbered[ordinal]
        for ordinal in sorted((each for each in numbered if each is not None), reverse=True)
        if ordinal not in wanted
    ]
    ordered = stateful_set["spec"].get("podManagementPolicy") != "Parallel"
    wait = _min_ready_seconds(stateful_set)
    steps: list[Step] = []
    for ordinal, pod in zip(wanted, replicas, strict=True):
        if pod is None:
            steps.append(Create(new_pod(stateful_set, revisions, ordinal)))
        elif has_ended(pod) and not is_deleting(pod):
            steps.append(Delete(pod))
        if ordered and (steps or not _serves(pod, wait, now)):
            return steps
    unhealthy = next((pod for pod in reversed(condemned) if not _serves(pod, wait, now)), None)
    for pod in condemned:
        if is_deleting(pod):
            if ordered:
                return steps
            continue
        if not ordered or pod is unhealthy or _serves(pod, wait, now):
            steps.append(Delete(pod))
        if ordered:
            return steps
    if steps or stateful_set["spec"]["updateStrategy"].get("type") == "OnDelete":
        return steps
    return _plan_update(stateful_set, replicas, revisions, now)


def _plan_update(
    stateful_set: Object, replicas: Sequence[Object | None], revisions: Revisions, now: datetime
) -> list[Step]:
    """Replace the highest pod at or above the partition that is not of the update revision."""
    for pod in reversed(replicas[_partition(stateful_set) :]):
        if pod is None:
            break
        if revision_name_of(pod) != name_of(revisions.update) and not is_deleting(pod):
            return [Delete(pod, for_update=True)]
        if not _serves(pod, _min_ready_seconds(stateful_set), now):
            break
    return []


def new_pod(stateful_set: Object, revisions: Revisions, ordinal: int) -> Object:
    """The pod of an ordinal: below the partition of the current revision, else of the update revision."""
    below = ordinal - _first_ordinal(stateful_set) < _partition(stateful_set)
    revision = revisions.current if below else revisions.update
    template = history.template_of(revision)
    name = f"{name_of(stateful_set)}-{ordinal}"
    spec: Object = template["spec"]
    spec |= {"hostname": name}
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    claims = [
        {"name": name_of(claim), "persistentVolumeClaim": {"claimName": f"{name_of(claim)}-{name}"}}
        for claim in stateful_set["spec"].get("volumeClaimTemplates") or []
    ]
    if claims:
        replaced = {each["name"] for each in claims}
        others = [each for each in spec.get("volumes") or [] if each["name"] not in replaced]
        spec["volumes"] = [*claims, *others]
    identity = {POD_NAME: name, POD_INDEX: str(ordinal), history.REVISION_HASH: name_of(revision)}
    metadata: Object = {
        "name": name,
        "generateName": f"{name_of(stateful_set)}-",
        "namespace": namespace_of(stateful_set),
        "labels": labels_of(template) | identity,
        "ownerReferences": [owner_reference(stateful_set, "apps/v1", "StatefulSet")],
    }
    if annotations_of(template):
        metadata["annotations"] = dict(annotations_of(template))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def claims_of(stateful_set: Object, pod: Object) -> list[Object]:
    """The PersistentVolumeClaims that the pod needs, one for each of the set's templates."""
    claims: list[Object] = []
    for template in copied(stateful_set["spec"].get("volumeClaimTemplates") or []):
        labels = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
        metadata = {
            **template["metadata"],
            "name": f"{name_of(template)}-{name_of(pod)}",
            "namespace": namespace_of(stateful_set),
            "labels": labels_of(template) | labels,
        }
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
        claims.append({**body, "spec": template.get("spec") or {}})
    return claims


def counted(
    stateful_set: Object, pods: Sequence[Object], revisions: Revisions, now: datetime
) -> dict[str, int]:
    """The status numbers: terminating pods count as replicas, and as ready, but of no revision."""
    ready = [pod for pod in pods if _is_running(pod) and is_ready(pod)]
    names = [revision_name_of(pod) for pod in pods if not is_deleting(pod)]
    wait = _min_ready_seconds(stateful_set)
    return {
        "replicas": len(pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, wait, now) for pod in ready),
        "currentReplicas": names.count(name_of(revisions.current)),
        "updatedReplicas": names.count(name_of(revisions.update)),
    }


def _is_running(pod: Object) -> bool:
    return bool(status_of(pod).get("phase") == "Running")


def _serves(pod: Object | None, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod is there to stay, runs, and is available."""
    if pod is None or is_deleting(pod) or not _is_running(pod):
        return False
    return is_ready(pod) and is_available(pod, min_ready_seconds, now)


def _first_ordinal(stateful_set: Object) -> int:
    return int((stateful_set["spec"].get("ordinals") or {}).get("start") or 0)


def _partition(stateful_set: Object) -> int:
    strategy = stateful_set["spec"]["updateStrategy"]
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def _min_ready_seconds(stateful_set: Object) -> int:
    return int(stateful_set["spec"].get("minReadySeconds") or 0)
