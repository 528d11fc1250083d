"""The StatefulSet controller: pods with names that last, created, updated and deleted in their order.

Called by the runner. What is to be done is planned in stateful_pods, the history kept in history.
Source: Kubernetes pkg/controller/statefulset/{stateful_set,stateful_set_control}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from responder.clock import Clock
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers import history
from responder.sandbox.controllers.claim import MANAGER, claimed, owners_in
from responder.sandbox.controllers.fields import (
    generation_of,
    is_deleting,
    status_of,
    uid_of,
    wanted_replicas,
)
from responder.sandbox.controllers.pods import seconds_to_available
from responder.sandbox.controllers.recorder import EventRecorder
from responder.sandbox.controllers.stateful_pods import (
    Create,
    Delete,
    Revisions,
    Step,
    claims_of,
    counted,
    ordinal_of,
    plan_pass,
    revision_name_of,
)

STATEFUL_SETS, PODS, CLAIMS = "statefulsets.apps", "pods", "persistentvolumeclaims"
Key = tuple[str, str]


class StatefulSetController:
    """Keeps each StatefulSet's pods, revisions and status as its specification wants them."""

    name = "statefulset"
    primary = STATEFUL_SETS
    keys_per_pass = 1

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._recorder = EventRecorder(store, clock, "statefulset-controller")

    def keys(self, event: Event) -> Iterable[Key]:
        """The StatefulSets that an event may concern."""
        if event.resource.key == STATEFUL_SETS:
            yield namespace_of(event.object), name_of(event.object)
        elif event.resource.key == PODS:
            yield from owners_in(self._store, STATEFUL_SETS, "StatefulSet", event)

    def sync(self, key: Key) -> float | None:
        """Do one pass; the seconds until a pod that is ready becomes available, None when none does."""
        stateful_set = self._store.get(STATEFUL_SETS, *key)
        if stateful_set is None:
            return None
        owned = claimed(self._store, PODS, stateful_set, "StatefulSet")
        pods = [pod for pod in owned if ordinal_of(stateful_set, pod) is not None]
        known = history.in_order(
            claimed(self._store, history.CONTROLLER_REVISIONS, stateful_set, "StatefulSet")
        )
        revisions, collisions = self._revisions(stateful_set, known)
        status: Object = {
            "observedGeneration": generation_of(stateful_set),
            "currentRevision": name_of(revisions.current),
            "updateRevision": name_of(revisions.update),
            "collisionCount": collisions,
            **counted(stateful_set, pods, revisions, self._clock.now()),
        }
        steps = []
        if not is_deleting(stateful_set):
            steps = plan_pass(stateful_set, pods, revisions, self._clock.now())
        failure = self._take(stateful_set, steps)
        if any(isinstance(step, Delete) and step.for_update for step in steps):
            status["currentReplicas"] -= 1
        self._write_status(stateful_set, status)
        if failure is not None:
            raise failure
        self._forget_history(stateful_set, known, revisions, pods)
        wait_seconds = int(stateful_set["spec"].get("minReadySeconds") or 0)
        return seconds_to_available(pods, wait_seconds, self._clock.now())

    def _revisions(self, stateful_set: Object, known: Sequence[Object]) -> tuple[Revisions, int]:
        """The current and the update revision, recorded if need be; and how often a name was taken."""
        collisions = int(status_of(stateful_set).get("collisionCount") or 0)
        number = history.next_number(known)
        equal = history.equal_to(known, history.revision_data(stateful_set))
        if equal and uid_of(equal[-1]) == uid_of(known[-1]):
            update = equal[-1]
        elif equal:
            update = history.raise_number(self._store, equal[-1], number)
        else:
            recorded = None
            while recorded is None:
                wanted = history.new_revision(
                    stateful_set, "StatefulSet", number, collisions, history.HISTORY_HASH
                )
                recorded = history.record(self._store, wanted)
                collisions += recorded is None
            update = recorded
        named = str(status_of(stateful_set).get("currentRevision") or "")
        current = next((each for each in known if name_of(each) == named), update)
        return Revisions(current, update), collisions

    def _take(self, stateful_set: Object, steps: Iterable[Step]) -> ApiError | None:
        """Create and delete as planned up to the first refusal, which is returned."""
        for step in steps:
            try:
                match step:
                    case Create(pod):
                        verb = "create"
                        self._create(stateful_set, pod)
                    case Delete(pod):
                        verb = "delete"
                        self._store.delete(PODS, namespace_of(pod), name_of(pod), uid=uid_of(pod))
                    case _:
                        assert_never(step)
            except ApiError as error:
                self._tell(stateful_set, verb, pod, error)
                return error
            self._tell(stateful_set, verb, pod)
        return None

    def _create(self, stateful_set: Object, pod: Object) -> None:
        for claim in claims_of(stateful_set, pod):
            if self._store.get(CLAIMS, namespace_of(claim), name_of(claim)) is None:
                self._store.create(CLAIMS, claim, manager=MANAGER)
        self._store.create(PODS, pod, manager=MANAGER)

    def _tell(self, stateful_set: Object, verb: str, pod: Object, error: ApiError | None = None) -> None:
        words = f"{verb} Pod {name_of(pod)} in StatefulSet {name_of(stateful_set)}"
        reason = f"{'Failed' if error else 'Successful'}{verb.capitalize()}"
        message = f"{words} failed error: {error}" if error else f"{words} successful"
        self._recorder.record(stateful_set, reason, message, warning=error is not None)

    def _write_status(self, stateful_set: Object, status: Object) -> None:
        """Write the status; once all pods are of the update revision, that is the current one."""
        rolling = stateful_set["spec"]["updateStrategy"].get("type") == "RollingUpdate"
        numbers = {status[key] for key in ("replicas", "readyReplicas", "updatedReplicas")}
        if rolling and numbers == {wanted_replicas(stateful_set)}:
            status |= {
                "currentReplicas": status["updatedReplicas"],
                "currentRevision": status["updateRevision"],
            }
        wanted = {**stateful_set, "status": status}
        self._store.update(STATEFUL_SETS, wanted, manager=MANAGER, subresource="status")

    def _forget_history(
        self, stateful_set: Object, known: Sequence[Object], revisions: Revisions, pods: Sequence[Object]
    ) -> None:
        alive = {name_of(revisions.current), name_of(revisions.update), *map(revision_name_of, pods)}
        dead = [each for each in known if name_of(each) not in alive]
        history.delete(self._store, history.expired(dead, stateful_set["spec"].get("revisionHistoryLimit")))
