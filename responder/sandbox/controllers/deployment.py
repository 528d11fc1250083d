"""The Deployment controller: one level-triggered pass at a time from what is to what is wanted.

A pass that has written ReplicaSet annotations or the Deployment's revision ends there, which is what the real
controller's conflicts with its own stale copy come to: a watcher sees the revision before observedGeneration,
and that before the counts. Called by the runner.
Source: Kubernetes pkg/controller/deployment/deployment_controller.go, sync.go, rolling.go, recreate.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from responder.clock import Clock
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.selectors import label_selector_of
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers import conditions, revisions, rollback, rolling
from responder.sandbox.controllers.claim import MANAGER, claimed, owners_in
from responder.sandbox.controllers.fields import (
    annotations_of,
    controller_of,
    count,
    find_condition,
    generation_of,
    is_controlled_by,
    is_deleting,
    observed_generation_of,
    status_of,
    uid_of,
    wanted_replicas,
)
from responder.sandbox.controllers.recorder import EventRecorder
from responder.sandbox.controllers.templates import equal_templates

DEPLOYMENTS, REPLICA_SETS, PODS = "deployments.apps", "replicasets.apps", "pods"
Key = tuple[str, str]


class DeploymentController:
    """Keeps each Deployment's ReplicaSets and status as its specification wants them."""

    name = "deployment"
    primary = DEPLOYMENTS
    keys_per_pass = 1

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._recorder = EventRecorder(store, clock, "deployment-controller")

    def keys(self, event: Event) -> Iterable[Key]:
        """The Deployments that an event may concern."""
        if event.resource.key == DEPLOYMENTS:
            yield namespace_of(event.object), name_of(event.object)
        elif event.resource.key == REPLICA_SETS:
            yield from owners_in(self._store, DEPLOYMENTS, "Deployment", event)
        elif event.resource.key == PODS and event.type == "DELETED":
            # Recreate waits for the last old pod to be gone; RollingUpdate learns all from the ReplicaSets.
            for deployment in self._store.list(DEPLOYMENTS, namespace_of(event.object)):
                selected = label_selector_of(deployment["spec"].get("selector"))
                if selected.matches(event.object) and not rolling.is_rolling(deployment):
                    yield namespace_of(deployment), name_of(deployment)

    def sync(self, key: Key) -> float | None:
        """Do one pass; the seconds until it wants to be called again if nothing happens, None for never."""
        deployment = self._store.get(DEPLOYMENTS, *key)
        if deployment is None:
            return None
        if not deployment["spec"].get("selector"):
            self._refuse_empty_selector(deployment)
            return None
        owned = claimed(self._store, REPLICA_SETS, deployment, "Deployment")
        new, old = revisions.split_new(deployment, owned)
        if is_deleting(deployment):
            self._write_status(deployment, self._computed(deployment, old, new))
        elif not self._write_pause_condition(deployment) and not self._write_revision(deployment, old, new):
            self._roll(deployment, old, new)
        current = self._store.get(DEPLOYMENTS, *key)
        return conditions.seconds_to_deadline(current, self._clock.now()) if current is not None else None

    def _roll(self, deployment: Object, old: list[Object], new: Object | None) -> None:
        paused = bool(deployment["spec"].get("paused"))
        if not paused and rollback.is_asked(deployment):
            self._roll_back(deployment, _all(old, new))
        elif paused or rolling.is_scaling_event(deployment, _all(old, new)):
            self._scale(deployment, old, new, paused=paused)
        elif rolling.is_rolling(deployment):
            self._roll_gradually(deployment, old, new)
        else:
            self._recreate(deployment, old, new)

    def _roll_back(self, deployment: Object, replica_sets: list[Object]) -> None:
        outcome = rollback.rolled_back(deployment, replica_sets)
        self._recorder.record(deployment, outcome.reason, outcome.message, warning=not outcome.done)
        self._store.update(DEPLOYMENTS, outcome.deployment, manager=MANAGER)

    def _refuse_empty_selector(self, deployment: Object) -> None:
        message = "This deployment is selecting all pods. A non-empty selector is required."
        self._recorder.record(deployment, "SelectingAll", message, warning=True)
        if observed_generation_of(deployment) < generation_of(deployment):
            status = {**status_of(deployment), "observedGeneration": generation_of(deployment)}
            self._write_status(deployment, status)

    def _write_pause_condition(self, deployment: Object) -> bool:
        """Tell of a pause or its end in Progressing; whether that was a change."""
        current = find_condition(deployment, conditions.PROGRESSING)
        reason = current.get("reason") if current is not None else None
        paused = bool(deployment["spec"].get("paused"))
        told = reason == "DeploymentPaused"
        if conditions.deadline_of(deployment) is None or paused == told:
            return False
        if reason == conditions.PROGRESS_DEADLINE_EXCEEDED:
            return False
        word = "Paused" if paused else "Resumed"
        found = conditions.condition(
            conditions.PROGRESSING,
            "Unknown",
            f"Deployment{word}",
            f"Deployment is {word.lower()}",
            self._clock.now(),
        )
        return self._write_status(deployment, conditions.with_condition(status_of(deployment), found))

    def _write_revision(self, deployment: Object, old: Sequence[Object], new: Object | None) -> bool:
        """Bring the new ReplicaSet's annotations up to date, else the Deployment's; whether it did."""
        if new is None:
            return False
        wanted = revisions.with_new_annotations(deployment, new, revisions.next_revision(old))
        if _version(self._store.update(REPLICA_SETS, wanted, manager=MANAGER)) != _version(new):
            return True
        status = status_of(deployment)
        if (
            conditions.deadline_of(deployment) is not None
            and find_condition(deployment, conditions.PROGRESSING) is None
        ):
            message = f'Found new replica set "{name_of(new)}"'
            status = self._progressing(status, "True", "FoundNewReplicaSet", message)
        return self._write_status(deployment, status, annotations_of(new).get(revisions.REVISION))

    def _scale(self, deployment: Object, old: list[Object], new: Object | None, *, paused: bool) -> None:
        self._apply(deployment, rolling.plan_scale(deployment, old, new))
        if paused:
            self._delete_expired(deployment, old)
        self._write_status(deployment, self._computed(deployment, old, new))

    def _roll_gradually(self, deployment: Object, old: list[Object], new: Object | None) -> None:
        if new is None:
            self._create(deployment, old)
            return
        size = rolling.new_size(deployment, old, new)
        steps = [rolling.Scale(new, size)] if size != wanted_replicas(new) else []
        if not self._apply(deployment, steps) and not self._apply(
            deployment, rolling.plan_old(deployment, old, new)
        ):
            self._clean_up(deployment, old)
        self._write_progress(deployment, old, new)

    def _recreate(self, deployment: Object, old: list[Object], new: Object | None) -> None:
        scaled_down = self._apply(deployment, [rolling.Scale(each, 0) for each in rolling.active(old)])
        if not scaled_down and not self._has_old_pods(old, new):
            if new is None:
                self._create(deployment, old)
                return
            self._apply(deployment, [rolling.Scale(new, wanted_replicas(deployment))])
            self._clean_up(deployment, old)
        self._write_progress(deployment, old, new)

    def _has_old_pods(self, old: Sequence[Object], new: Object | None) -> bool:
        """Whether a pod of an old ReplicaSet still runs, be it terminating."""
        if any(count(each, "replicas") for each in old):
            return True
        if not old:
            return False
        owners = {uid_of(each) for each in old}
        for pod in self._store.list(PODS, namespace_of(old[0])):
            reference = controller_of(pod)
            ended = status_of(pod).get("phase") in ("Succeeded", "Failed")
            if reference is not None and reference.get("uid") in owners and not ended:
                return True
        return False

    def _create(self, deployment: Object, old: Sequence[Object]) -> None:
        """Create the new ReplicaSet, then tell its revision and Progressing in the Deployment."""
        replicas = rolling.new_size(deployment, old, None)
        most = wanted_replicas(deployment) + rolling.max_surge(deployment)
        replica_set = revisions.new_replica_set(deployment, old, replicas, most)
        try:
            created = self._store.create(REPLICA_SETS, replica_set, manager=MANAGER)
        except ApiError as error:
            self._note_failed_creation(deployment, replica_set, error)
            return
        if replicas:
            message = f"Scaled up replica set {name_of(created)} from 0 to {replicas}"
            self._recorder.record(deployment, "ScalingReplicaSet", message)
        status = status_of(deployment)
        progressing = find_condition(deployment, conditions.PROGRESSING) or {}
        # Right after a resumption the real controller loses this condition to a conflict with its own write.
        resumed = progressing.get("reason") == "DeploymentResumed"
        if conditions.deadline_of(deployment) is not None and not resumed:
            message = f'Created new replica set "{name_of(created)}"'
            status = self._progressing(status, "True", "NewReplicaSetCreated", message)
        self._write_status(deployment, status, annotations_of(created)[revisions.REVISION])

    def _note_failed_creation(self, deployment: Object, replica_set: Object, error: ApiError) -> None:
        if error.reason == "AlreadyExists":
            found = self._store.get(REPLICA_SETS, namespace_of(replica_set), name_of(replica_set))
            if found is not None and not (
                is_controlled_by(found, deployment)
                and equal_templates(found["spec"]["template"], deployment["spec"]["template"])
            ):
                # Another template has the same hash: count, so that the next hash differs.
                collisions = int(status_of(deployment).get("collisionCount") or 0) + 1
                self._write_status(deployment, {**status_of(deployment), "collisionCount": collisions})
            return
        message = f'Failed to create new replica set "{name_of(replica_set)}": {error.message}'
        if conditions.deadline_of(deployment) is not None:
            status = self._progressing(status_of(deployment), "False", "ReplicaSetCreateError", message)
            self._write_status(deployment, status)
        self._recorder.record(deployment, "ReplicaSetCreateError", message, warning=True)
        raise error

    def _apply(self, deployment: Object, steps: Iterable[rolling.Scale]) -> bool:
        """Scale ReplicaSets one after another, each with the Deployment's size; whether any size changed."""
        size, most = wanted_replicas(deployment), wanted_replicas(deployment) + rolling.max_surge(deployment)
        changed = False
        for step in steps:
            current = self._store.get(REPLICA_SETS, namespace_of(deployment), name_of(step.replica_set))
            if current is None:
                continue
            before = wanted_replicas(current)
            current["spec"]["replicas"] = step.replicas
            sizes = revisions.replicas_annotations(size, most)
            current["metadata"]["annotations"] = annotations_of(current) | sizes
            self._store.update(REPLICA_SETS, current, manager=MANAGER)
            if before != step.replicas:
                changed = True
                direction = "up" if step.replicas > before else "down"
                message = (
                    f"Scaled {direction} replica set {name_of(current)} from {before} to {step.replicas}"
                )
                self._recorder.record(deployment, "ScalingReplicaSet", message)
        return changed

    def _clean_up(self, deployment: Object, old: Sequence[Object]) -> None:
        if conditions.is_complete(deployment, status_of(deployment)):
            self._delete_expired(deployment, old)

    def _delete_expired(self, deployment: Object, old: Sequence[Object]) -> None:
        for each in revisions.expired_history(deployment, old):
            self._store.delete(REPLICA_SETS, namespace_of(each), name_of(each), uid=uid_of(each))

    def _write_progress(self, deployment: Object, old: list[Object], new: Object | None) -> None:
        status = self._computed(deployment, old, new)
        status = conditions.with_progress(deployment, status, new, self._clock.now())
        status = conditions.with_replica_failure(status, _all(old, new), new)
        self._write_status(deployment, status)

    def _computed(self, deployment: Object, old: list[Object], new: Object | None) -> Object:
        """The status as of the ReplicaSets this pass has read, which is before what it has scaled."""
        return conditions.computed_status(deployment, _all(old, new), new, self._clock.now())

    def _progressing(self, status: Object, truth: str, reason: str, message: str) -> Object:
        found = conditions.condition(conditions.PROGRESSING, truth, reason, message, self._clock.now())
        return conditions.with_condition(status, found)

    def _write_status(self, deployment: Object, status: Object, revision: str | None = None) -> bool:
        """Write status, and with it the revision annotation if one is given; whether that was a change."""
        wanted: Object = {**deployment, "metadata": dict(deployment["metadata"]), "status": status}
        if revision is not None:
            annotations = annotations_of(deployment) | {revisions.REVISION: revision}
            wanted["metadata"]["annotations"] = annotations
        written = self._store.update(DEPLOYMENTS, wanted, manager=MANAGER, subresource="status")
        return _version(written) != _version(deployment)


def _version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


def _all(old: Sequence[Object], new: Object | None) -> list[Object]:
    return [*old, *([new] if new is not None else [])]
