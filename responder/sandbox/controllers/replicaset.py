"""The ReplicaSet controller: as many pods as are wanted, and a status of those it found before it acted.

Called by the runner.
Source: Kubernetes pkg/controller/replicaset/{replica_set,replica_set_utils}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from responder.clock import Clock
from responder.sandbox.api.objects import Object, copied, name_of, namespace_of, seconds_text
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers.claim import MANAGER, claimed, owners_in
from responder.sandbox.controllers.conditions import REPLICA_FAILURE
from responder.sandbox.controllers.fields import (
    annotations_of,
    controller_of,
    find_condition,
    generation_of,
    is_deleting,
    labels_of,
    owner_reference,
    status_of,
    uid_of,
    wanted_replicas,
)
from responder.sandbox.controllers.pods import (
    deletion_order,
    has_ended,
    is_available,
    is_ready,
    seconds_to_available,
)
from responder.sandbox.controllers.recorder import EventRecorder

REPLICA_SETS, PODS = "replicasets.apps", "pods"
Key = tuple[str, str]
# At most so many pods are created or deleted in one pass.
_BURST = 500


class ReplicaSetController:
    """Keeps each ReplicaSet's pods and status as its specification wants them."""

    name = "replicaset"
    primary = REPLICA_SETS
    keys_per_pass = 1

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._recorder = EventRecorder(store, clock, "replicaset-controller")

    def keys(self, event: Event) -> Iterable[Key]:
        """The ReplicaSets that an event may concern."""
        if event.resource.key == REPLICA_SETS:
            yield namespace_of(event.object), name_of(event.object)
        elif event.resource.key == PODS:
            yield from owners_in(self._store, REPLICA_SETS, "ReplicaSet", event)

    def sync(self, key: Key) -> float | None:
        """Do one pass; the seconds until a pod that is ready becomes available, None when none does.

        Raises ApiError when a pod could not be made or deleted, after saying so in the status.
        """
        replica_set = self._store.get(REPLICA_SETS, *key)
        if replica_set is None:
            return None
        pods = claimed(self._store, PODS, replica_set, "ReplicaSet")
        failure: tuple[str, ApiError] | None = None
        if not is_deleting(replica_set):
            active = [pod for pod in pods if not is_deleting(pod) and not has_ended(pod)]
            failure = self._scale(replica_set, active)
        self._write_status(replica_set, pods, failure)
        if failure is not None:
            raise failure[1]
        return seconds_to_available(pods, _min_ready_seconds(replica_set), self._clock.now())

    def _scale(self, replica_set: Object, active: Sequence[Object]) -> tuple[str, ApiError] | None:
        """Create or delete what is missing or too many; the reason and error of the first refusal."""
        difference = wanted_replicas(replica_set) - len(active)
        for size in _slow_start(min(difference, _BURST)):
            refusals = [error for _ in range(size) if (error := self._create_pod(replica_set)) is not None]
            if refusals:
                return "FailedCreate", refusals[0]
        try:
            if difference < 0:
                related = self._related_pods(replica_set)
                ordered = deletion_order(active, related, self._clock.now())
                for pod in ordered[: min(-difference, _BURST)]:
                    self._delete_pod(replica_set, pod)
        except ApiError as error:
            self._recorder.record(replica_set, "FailedDelete", f"Error deleting: {error}", warning=True)
            return "FailedDelete", error
        return None

    def _create_pod(self, replica_set: Object) -> ApiError | None:
        """Create one pod; the error, told in an Event, when it is refused."""
        template = replica_set["spec"]["template"]
        metadata: Object = {
            "generateName": f"{name_of(replica_set)}-",
            "namespace": namespace_of(replica_set),
            "ownerReferences": [owner_reference(replica_set, "apps/v1", "ReplicaSet")],
        }
        for field, values in (("labels", labels_of(template)), ("annotations", annotations_of(template))):
            if values:
                metadata[field] = dict(values)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copied(template["spec"])}
        try:
            created = self._store.create(PODS, pod, manager=MANAGER)
        except ApiError as error:
            self._recorder.record(replica_set, "FailedCreate", f"Error creating: {error}", warning=True)
            return error
        self._recorder.record(replica_set, "SuccessfulCreate", f"Created pod: {name_of(created)}")
        return None

    def _delete_pod(self, replica_set: Object, pod: Object) -> None:
        self._store.delete(PODS, namespace_of(pod), name_of(pod), uid=uid_of(pod))
        self._recorder.record(replica_set, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")

    def _related_pods(self, replica_set: Object) -> list[Object]:
        """The active pods of all ReplicaSets of one owner: the most crowded node is thinned out first."""
        owner = controller_of(replica_set)
        siblings = {uid_of(replica_set)}
        for each in self._store.scan(REPLICA_SETS, namespace_of(replica_set)):
            reference = controller_of(each)
            if owner is not None and reference is not None and reference.get("uid") == owner.get("uid"):
                siblings.add(uid_of(each))
        related: list[Object] = []
        for pod in self._store.scan(PODS, namespace_of(replica_set)):
            reference = controller_of(pod)
            if reference is not None and reference.get("uid") in siblings and not is_deleting(pod):
                related.append(pod)
        return related

    def _write_status(
        self, replica_set: Object, pods: Sequence[Object], failure: tuple[str, ApiError] | None
    ) -> None:
        now = self._clock.now()
        status: dict[str, Any] = _counts(replica_set, pods, now)
        conditions = _conditions(replica_set, failure, now)
        if conditions:
            status["conditions"] = conditions
        status["observedGeneration"] = generation_of(replica_set)
        wanted = {**replica_set, "status": status}
        self._store.update(REPLICA_SETS, wanted, manager=MANAGER, subresource="status")


def _slow_start(total: int) -> Iterator[int]:
    """Batches of 1, 2, 4, ... that add up to total: what refuses one pod refuses few."""
    size = 1
    while total > 0:
        yield min(size, total)
        total -= size
        size *= 2


def _counts(replica_set: Object, pods: Sequence[Object], now: datetime) -> dict[str, Any]:
    active = [pod for pod in pods if not is_deleting(pod) and not has_ended(pod)]
    template_labels = labels_of(replica_set["spec"]["template"]).items()
    wait_seconds = _min_ready_seconds(replica_set)
    ready = [pod for pod in active if is_ready(pod)]
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template_labels <= labels_of(pod).items() for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, wait_seconds, now) for pod in ready),
        "terminatingReplicas": sum(is_deleting(pod) and not has_ended(pod) for pod in pods),
    }


def _conditions(replica_set: Object, failure: tuple[str, ApiError] | None, now: datetime) -> list[Object]:
    current = find_condition(replica_set, REPLICA_FAILURE)
    others = [each for each in status_of(replica_set).get("conditions") or [] if each is not current]
    if failure is None:
        return others
    if current is not None:
        # Kept as it is, however the refusals change, until a pass succeeds.
        return [*others, current]
    reason, error = failure
    return [
        *others,
        {
            "type": REPLICA_FAILURE,
            "status": "True",
            "lastTransitionTime": seconds_text(now),
            "reason": reason,
            "message": error.message,
        },
    ]


def _min_ready_seconds(replica_set: Object) -> int:
    return int(replica_set["spec"].get("minReadySeconds") or 0)
