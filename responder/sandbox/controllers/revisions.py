"""The revision bookkeeping of a Deployment: which ReplicaSet is the new one, and the annotations they carry.

Pure. Called by the Deployment controller at the beginning of every sync.
Source: Kubernetes pkg/controller/deployment/util/deployment_util.go, pkg/controller/deployment/sync.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from responder.sandbox.api.objects import Object, copied, name_of, namespace_of
from responder.sandbox.controllers.fields import (
    annotations_of,
    creation_order,
    generation_of,
    is_deleting,
    labels_of,
    observed_generation_of,
    owner_reference,
    status_of,
    uid_of,
    wanted_replicas,
)
from responder.sandbox.controllers.templates import POD_TEMPLATE_HASH, equal_templates, template_hash

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ROLLBACK_TO = "deprecated.deployment.rollback.to"

# Never copied between a Deployment and its ReplicaSets.
NOT_COPIED = frozenset(
    {REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, LAST_APPLIED, ROLLBACK_TO}
)
MAX_HISTORY_CHARACTERS = 2000
# An unset limit of this value means "keep all".
MAX_INT32 = 2**31 - 1


def split_new(deployment: Object, replica_sets: Sequence[Object]) -> tuple[Object | None, list[Object]]:
    """The ReplicaSet that runs the Deployment's template (the oldest equal one), and all the others."""
    template = deployment["spec"]["template"]
    ordered = sorted(replica_sets, key=creation_order)
    new = next((each for each in ordered if equal_templates(each["spec"]["template"], template)), None)
    return new, [each for each in replica_sets if new is None or uid_of(each) != uid_of(new)]


def revision_of(replica_set: Object) -> int | None:
    """The ReplicaSet's revision: 0 when it carries none, None when what it carries is no number."""
    text = annotations_of(replica_set).get(REVISION)
    if text is None:
        return 0
    return int(text) if _is_integer(text) else None


def next_revision(old: Sequence[Object]) -> int:
    """One more than the highest revision among the old ReplicaSets."""
    return max((revision_of(each) or 0 for each in old), default=0) + 1


def with_new_annotations(deployment: Object, replica_set: Object, revision: int) -> Object:
    """A copy of the new ReplicaSet with what it takes over from its Deployment.

    The Deployment's annotations, minReadySeconds, and the revision if that is higher than the one it has,
    whose number then goes to its history. A revision that is no number keeps all annotations as they are.
    """
    result: Object = copied(replica_set)
    _take_min_ready_seconds(deployment, result)
    known = revision_of(replica_set)
    if known is None:
        return result
    annotations = annotations_of(replica_set) | _copied_annotations(deployment)
    if known < revision:
        former = annotations.get(REVISION)
        if former is not None:
            annotations[REVISION_HISTORY] = _appended(annotations.get(REVISION_HISTORY), former)
        annotations[REVISION] = str(revision)
    if annotations:
        result["metadata"]["annotations"] = annotations
    return result


def created_annotations(deployment: Object, revision: int, max_replicas: int) -> dict[str, str]:
    """The annotations of a ReplicaSet that is about to be created."""
    sizes = replicas_annotations(wanted_replicas(deployment), max_replicas)
    return _copied_annotations(deployment) | {REVISION: str(revision)} | sizes


def new_replica_set(deployment: Object, old: Sequence[Object], replicas: int, max_replicas: int) -> Object:
    """The ReplicaSet for the Deployment's template, not created yet."""
    template: Object = copied(deployment["spec"]["template"])
    hash_value = template_hash(template, status_of(deployment).get("collisionCount"))
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = labels_of(template) | {POD_TEMPLATE_HASH: hash_value}
    selector: Object = copied(deployment["spec"]["selector"])
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | {POD_TEMPLATE_HASH: hash_value}
    spec: Object = {
        "replicas": replicas,
        "selector": selector,
        "template": template,
    }
    if seconds := int(deployment["spec"].get("minReadySeconds") or 0):
        spec["minReadySeconds"] = seconds
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": _name(deployment, hash_value),
            "namespace": namespace_of(deployment),
            "labels": dict(metadata["labels"]),
            "annotations": created_annotations(deployment, next_revision(old), max_replicas),
            "ownerReferences": [owner_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": spec,
    }


def replicas_annotations(replicas: int, max_replicas: int) -> dict[str, str]:
    """What every ReplicaSet is told of its Deployment's size whenever it is scaled."""
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(max_replicas)}


def integer_annotation(obj: Object, key: str) -> int | None:
    """An annotation's number; None when it is absent or no number."""
    text = annotations_of(obj).get(key)
    return int(text) if text is not None and _is_integer(text) else None


def expired_history(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """The old ReplicaSets beyond revisionHistoryLimit that nothing holds any more, lowest revision first.

    Only the first so many as are too many are looked at: one of them that still runs pods is not replaced by
    another.
    """
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == MAX_INT32:
        return []
    alive = sorted(
        (each for each in old if not is_deleting(each)),
        key=lambda each: (revision_of(each) or 0, *creation_order(each)),
    )
    return [each for each in alive[: max(0, len(alive) - int(limit))] if _is_idle(each)]


def _is_idle(replica_set: Object) -> bool:
    return (
        wanted_replicas(replica_set) == 0
        and not status_of(replica_set).get("replicas")
        and generation_of(replica_set) <= observed_generation_of(replica_set)
    )


def _copied_annotations(deployment: Object) -> dict[str, str]:
    return {key: value for key, value in annotations_of(deployment).items() if key not in NOT_COPIED}


def _take_min_ready_seconds(deployment: Object, replica_set: Object) -> None:
    seconds = int(deployment["spec"].get("minReadySeconds") or 0)
    if seconds:
        replica_set["spec"]["minReadySeconds"] = seconds
    else:
        replica_set["spec"].pop("minReadySeconds", None)


def _appended(history: str | None, former: str) -> str:
    numbers = [*history.split(","), former] if history else [former]
    while len(",".join(numbers)) > MAX_HISTORY_CHARACTERS and len(numbers) > 1:
        numbers.pop(0)
    return ",".join(numbers)


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()


def _name(deployment: Object, hash_value: str) -> str:
    """DEPLOYMENT-HASH, the Deployment's part cut so that the whole is a valid name of at most 253."""
    return f"{name_of(deployment)[: 253 - 1 - len(hash_value)]}-{hash_value}"
