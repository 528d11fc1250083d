"""The DaemonSet controller: one pod on every node that is to have one, replaced node by node.

Called by the runner. What is to be done is planned in daemon_pods, the history kept in history.
Source: Kubernetes pkg/controller/daemon/{daemon_controller,update}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from responder.clock import Clock
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers import daemon_pods, history
from responder.sandbox.controllers.claim import MANAGER, claimed, owners_in
from responder.sandbox.controllers.fields import generation_of, is_deleting, labels_of, status_of, uid_of
from responder.sandbox.controllers.pods import seconds_to_available
from responder.sandbox.controllers.recorder import EventRecorder

DAEMON_SETS, PODS, NODES = "daemonsets.apps", "pods", "nodes"
Key = tuple[str, str]


class DaemonSetController:
    """Keeps each DaemonSet's pods, revisions and status as its specification wants them."""

    name = "daemonset"
    primary = DAEMON_SETS
    keys_per_pass = 1

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._recorder = EventRecorder(store, clock, "daemonset-controller")

    def keys(self, event: Event) -> Iterable[Key]:
        """The DaemonSets that an event may concern."""
        if event.resource.key == DAEMON_SETS:
            yield namespace_of(event.object), name_of(event.object)
        elif event.resource.key == PODS:
            yield from owners_in(self._store, DAEMON_SETS, "DaemonSet", event)
        elif event.resource.key == NODES:
            for each in self._store.scan(DAEMON_SETS):
                yield namespace_of(each), name_of(each)

    def sync(self, key: Key) -> float | None:
        """Do one pass; the seconds until a pod that is ready becomes available, None when none does."""
        daemon_set = self._store.get(DAEMON_SETS, *key)
        if daemon_set is None:
            return None
        known = claimed(self._store, history.CONTROLLER_REVISIONS, daemon_set, "DaemonSet")
        current, old = self._revision(daemon_set, known)
        if current is None:
            return None
        hash_value = labels_of(current).get(history.REVISION_HASH, "")
        nodes = self._store.list(NODES)
        pods = claimed(self._store, PODS, daemon_set, "DaemonSet")
        failure = None
        if not is_deleting(daemon_set):
            failure = self._manage(daemon_set, nodes, pods, hash_value)
            self._forget_history(daemon_set, old, pods)
        self._write_status(daemon_set, nodes, pods, hash_value)
        if failure is not None:
            raise failure
        wait_seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
        return seconds_to_available(pods, wait_seconds, self._clock.now())

    def _revision(self, daemon_set: Object, known: Sequence[Object]) -> tuple[Object | None, list[Object]]:
        """The revision of the template, recorded if need be, and the others.

        None when its name is taken by another template: that is counted, and the next pass names it anew.
        """
        equal = history.equal_to(known, history.revision_data(daemon_set))
        old = [each for each in known if each not in equal]
        number = history.next_number(old)
        if equal:
            # Two of one template can only come from outside: the latest is kept, and used.
            history.delete(self._store, equal[:-1])
            return history.raise_number(self._store, equal[-1], number), old
        collisions = status_of(daemon_set).get("collisionCount")
        wanted = history.new_revision(daemon_set, "DaemonSet", number, collisions, history.REVISION_HASH)
        recorded = history.record(self._store, wanted)
        if recorded is None:
            status = {**status_of(daemon_set), "collisionCount": int(collisions or 0) + 1}
            self._store.update(
                DAEMON_SETS, {**daemon_set, "status": status}, manager=MANAGER, subresource="status"
            )
        return recorded, old

    def _manage(
        self, daemon_set: Object, nodes: Sequence[Object], pods: Sequence[Object], hash_value: str
    ) -> ApiError | None:
        """Bring the pods to their nodes; when they are there, take the update a step further."""
        here = daemon_pods.by_node(pods)
        plan = daemon_pods.plan_presence(daemon_set, nodes, here, hash_value)
        rolling = daemon_set["spec"]["updateStrategy"].get("type") == "RollingUpdate"
        if rolling and not plan.nodes and not plan.deletions:
            plan = daemon_pods.plan_update(daemon_set, nodes, here, hash_value, self._clock.now())
        try:
            for node_name in plan.nodes:
                pod = daemon_pods.new_pod(daemon_set, node_name, hash_value)
                created = self._store.create(PODS, pod, manager=MANAGER)
                self._recorder.record(daemon_set, "SuccessfulCreate", f"Created pod: {name_of(created)}")
            for pod in plan.deletions:
                self._store.delete(PODS, namespace_of(pod), name_of(pod), uid=uid_of(pod))
                self._recorder.record(daemon_set, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        except ApiError as error:
            self._recorder.record(daemon_set, "FailedCreate", f"Error creating: {error}", warning=True)
            return error
        return None

    def _write_status(
        self, daemon_set: Object, nodes: Sequence[Object], pods: Sequence[Object], hash_value: str
    ) -> None:
        """Write the numbers of the pods this pass has found, which is before what it has done."""
        here = daemon_pods.by_node(pods)
        status = {
            "observedGeneration": generation_of(daemon_set),
            **daemon_pods.counted(daemon_set, nodes, here, hash_value, self._clock.now()),
        }
        if "collisionCount" in status_of(daemon_set):
            status["collisionCount"] = status_of(daemon_set)["collisionCount"]
        wanted = {**daemon_set, "status": status}
        self._store.update(DAEMON_SETS, wanted, manager=MANAGER, subresource="status")

    def _forget_history(self, daemon_set: Object, old: Sequence[Object], pods: Sequence[Object]) -> None:
        """Delete old revisions beyond the limit, lowest first, but none that a pod still runs."""
        alive = {labels_of(pod).get(history.REVISION_HASH) for pod in pods}
        dead = [each for each in old if labels_of(each).get(history.REVISION_HASH) not in alive]
        limit = daemon_set["spec"].get("revisionHistoryLimit")
        excess = len(old) - int(limit) if limit is not None else 0
        history.delete(self._store, history.in_order(dead)[: max(0, excess)])
