"""The sandbox's etcd and registry in one: objects in memory, written by the rules of a real API server.

Synchronous, for one event loop. Every object handed out is a copy, except where a method says otherwise.
It knows nothing of HTTP. The API server and the controllers write through it.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator

from responder.clock import Clock
from responder.sandbox.api import status
from responder.sandbox.api.addresses import assign_addresses
from responder.sandbox.api.admission import Admission
from responder.sandbox.api.custom import (
    CLEANUP_FINALIZER,
    DEFINITIONS,
    CustomKind,
    Definitions,
    mark_terminating,
)
from responder.sandbox.api.deletion import (
    begin_deletion,
    check_preconditions,
    deletion_finalizers,
    grace_seconds_of,
    is_released,
)
from responder.sandbox.api.garbage import GarbageCollector
from responder.sandbox.api.history import Event, EventType, History
from responder.sandbox.api.kinds import BuiltInKind, Kind
from responder.sandbox.api.managed_fields import Entries, record_manager
from responder.sandbox.api.objects import (
    Object,
    copied,
    metadata,
    name_of,
    namespace_of,
    seconds_text,
)
from responder.sandbox.api.ownership import Ownership
from responder.sandbox.api.preconditions import check_locks, check_namespace, refuse_invalid
from responder.sandbox.api.quotas import Quotas
from responder.sandbox.api.resources import Catalog, Resource
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.structure import Structure

__all__ = ["ApiError", "Event", "Object", "Resource", "Store"]

_NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_NAME_TRIES = 8
_FIRST_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_KEPT_BY_SERVER = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
)


class Store:
    """All objects of the simulated cluster, and the recent history of their changes."""

    def __init__(self, clock: Clock, *, seed: int = 0, history_limit: int = 20_000) -> None:
        """history_limit bounds how many events a watch can go back."""
        self.clock = clock
        self.random = random.Random(seed)
        self.catalog = Catalog()
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._kinds: dict[str, Kind] = {r.key: BuiltInKind(r) for r in self.catalog}
        self._ownership = Ownership()
        self._version = 1
        self.history = History(history_limit)
        self._listeners: list[Callable[[Event], None]] = []
        self._undelivered: deque[Event] = deque()
        self._delivering = False
        self.subscribe(Definitions(self).observe)
        self.subscribe(GarbageCollector(self).observe)
        self.admission = Admission(Quotas(self))
        self.subscribe(self.admission.quotas.observe)
        for name in _FIRST_NAMESPACES:
            self.create("namespaces", {"metadata": {"name": name}}, manager="kube-apiserver")

    @property
    def resource_version(self) -> int:
        """The version of the latest write."""
        return self._version

    def resource(self, key: str) -> Resource:
        """Return the resource behind key; ApiError 404 when nothing is served under it."""
        found = self.catalog.by_key(key)
        if found is None:
            raise status.no_such_resource()
        return found

    def get(self, key: str, namespace: str, name: str) -> Object | None:
        """Return one object; namespace is empty for a cluster-scoped one."""
        found = self.look(key, namespace, name)
        return None if found is None else copied(found)

    def look(self, key: str, namespace: str, name: str) -> Object | None:
        """Return what get returns without copying it: for readers that promise to change nothing."""
        return self._stored(key).get((namespace, name))

    def list(self, key: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a namespace (None: of all), sorted by namespace and name."""
        return [copied(obj) for obj in self.scan(key, namespace)]

    def scan(self, key: str, namespace: str | None = None) -> Iterator[Object]:
        """Yield what list returns without copying it: for readers that promise to change nothing."""
        stored = self._stored(key)
        if namespace is not None:
            # Sorting all of a large cluster for the few of one namespace would take most of a list's time.
            stored = {place: obj for place, obj in stored.items() if place[0] == namespace}
        for place in sorted(stored):
            yield stored[place]

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call listener after each write, in order of writes; returns what ends that.

        A write made by a listener is told once all listeners know of the write before it. An exception of a
        listener goes to the loop's exception handler.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def dependents(self, uid: str) -> Iterator[tuple[Resource, Object]]:
        """Yield the objects whose ownerReferences name uid, uncopied."""
        for key, namespace, name in self._ownership.dependents(uid):
            yield self.resource(key), self._stored(key)[namespace, name]

    def serve_custom(self, resource: Resource, kind: CustomKind) -> None:
        """Accept objects of a custom resource from now on."""
        if self.catalog.by_key(resource.key) is None:
            self.history.begin(resource.key, self._version)
        self.catalog.serve(resource)
        self._kinds[resource.key] = kind

    def kind(self, resource: Resource) -> Kind:
        """Return the rules by which objects of resource are written."""
        return self._kinds[resource.storage_key]

    def structure(self, resource: Resource) -> Structure:
        """Return how the objects of resource are merged and owned."""
        kind = self.kind(resource)
        return Structure(kind.schema) if isinstance(kind, CustomKind) else Structure()

    def create(
        self,
        key: str,
        obj: Object,
        *,
        manager: str,
        managed_fields: Entries | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Write a new object and return it as stored.

        managed_fields: who owns what, where that is not all manager's (after an apply).

        Raises ApiError: 403 when admission refuses it, 404 without its namespace, 409 when the name is
        taken, 422 when it is invalid.
        """
        resource, new = self.resource(key), copied(obj)
        meta = metadata(new)
        for member in (*_KEPT_BY_SERVER, "resourceVersion", "generation"):
            meta.pop(member, None)
        if resource.namespaced:
            namespace = self._stored("namespaces").get(("", namespace_of(new)))
            check_namespace(resource, new, self.resource("namespaces"), namespace)
        else:
            meta.pop("namespace", None)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = self._generated_name(key, namespace_of(new), meta["generateName"])
        new = self._admitted(resource, new, None)
        meta = new["metadata"]
        taken = self._stored(key).get((namespace_of(new), name_of(new)))
        if taken is not None:
            dying = bool(taken["metadata"].get("deletionTimestamp"))
            raise status.already_exists(resource, name_of(new), being_deleted=dying)
        assign_addresses(resource, new, self.scan)
        meta["uid"] = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        meta["creationTimestamp"] = self._now()
        if resource.has_generation or resource.custom:
            meta["generation"] = 1
        if managed_fields is None:
            structure = self.structure(resource)
            record_manager(new, None, structure, manager, resource.api_version, self._now())
        else:
            meta["managedFields"] = managed_fields
        if not dry_run:
            self._commit("ADDED", resource, new, None)
        return copied(new)

    def update(
        self,
        key: str,
        obj: Object,
        *,
        manager: str,
        subresource: str = "",
        managed_fields: Entries | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Write an existing object (or only its status, with subresource "status") and return it as stored.

        A resourceVersion in obj is a lock: ApiError 409 when another write came first. A write that changes
        nothing keeps the version and tells nobody. managed_fields is as for create. Raises
        ApiError 403, 404 and 422 as create does.
        """
        resource, new = self.resource(key), copied(obj)
        old = self._stored(key).get((namespace_of(new), name_of(new)))
        if old is None:
            raise status.not_found(resource, name_of(new))
        check_locks(resource, new, old)
        meta, kept = metadata(new), old["metadata"]
        for member in (*_KEPT_BY_SERVER, "generateName", "generation", "resourceVersion"):
            meta.pop(member, None)
            if member in kept:
                meta[member] = kept[member]
        new = self._admitted(resource, new, old, subresource)
        meta = new["metadata"]
        if managed_fields is not None:
            meta["managedFields"] = managed_fields
        if new == old:
            return copied(old)
        # A Deployment's annotations count, but not where its controller writes them together with the status.
        counts = "generation" in kept and subresource != "status"
        if counts and self.kind(resource).raises_generation(new, old):
            meta["generation"] = kept["generation"] + 1
        if managed_fields is None:
            structure = self.structure(resource)
            record_manager(new, old, structure, manager, resource.api_version, self._now(), subresource)
        released = is_released(resource, new)
        # What goes with its last finalizer is answered under the version it was stored in.
        answer = copied(new) if released else new
        if not dry_run:
            self._commit("DELETED" if released else "MODIFIED", resource, new, old)
        return answer if released else copied(new)

    def delete(
        self,
        key: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Delete an object, or begin to where a finalizer or a kubelet has to let go first.

        Returns the last state, or with a deletionTimestamp the present one. Without a propagation it goes as
        an earlier deletion said, or else in the background. uid and resource_version are
        preconditions (ApiError 409). A Pod bound to a node goes after grace_seconds (None: its own wish),
        namely when its kubelet deletes it with 0.
        """
        resource = self.resource(key)
        old = self._stored(key).get((namespace, name))
        if old is None:
            raise status.not_found(resource, name)
        check_preconditions(resource, old, uid, resource_version)
        new = copied(old)
        grace = grace_seconds_of(resource, old, grace_seconds)
        held = deletion_finalizers(new, propagation)
        if resource.key == DEFINITIONS and CLEANUP_FINALIZER not in held:
            held.append(CLEANUP_FINALIZER)
        if not grace and not held and resource.key != "namespaces":
            if not dry_run:
                self._commit("DELETED", resource, new, old)
            return copied(new)
        begin_deletion(resource, new, grace, held, self.clock.now())
        if resource.key == "namespaces":
            new["status"] = {**new.get("status", {}), "phase": "Terminating"}
        if resource.key == DEFINITIONS:
            mark_terminating(new, self._now())
        if new != old and not dry_run:
            self._commit("MODIFIED", resource, new, old)
        return copied(new)

    def _admitted(self, resource: Resource, new: Object, old: Object | None, subresource: str = "") -> Object:
        """Return new as its kind and the webhooks make it; ApiError 403 or 422 where it is refused.

        new is changed in place; old is None on create.
        """
        kind = self.kind(resource)

        def prepare(obj: Object) -> None:
            if old is None:
                kind.prepare_create(obj)
            else:
                kind.prepare_update(obj, old, subresource)

        prepare(new)
        admitted = self.admission.changed(resource, new, old, subresource)
        if admitted is not new:
            prepare(admitted)
        _tidy(metadata(admitted))
        refuse_invalid(resource, admitted, kind.validate(admitted, old, subresource))
        self.admission.check(resource, admitted, old, subresource)
        return admitted

    def _commit(self, event_type: EventType, resource: Resource, new: Object, old: Object | None) -> None:
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        place = (namespace_of(new), name_of(new))
        stored = self._stored(resource.key)
        if old is not None:
            self._ownership.remove(resource, old)
        if event_type == "DELETED":
            del stored[place]
        else:
            stored[place] = new
            self._ownership.add(resource, new)
        # What is stored is never changed in place, so that it may be shown as it is.
        shown = new
        if event_type == "DELETED" and old is not None:
            # A watch tells the last stored state of what is gone, under the version of its end.
            shown = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self._version)}}
        event = Event(event_type, resource, shown, old, self._version)
        self.history.append(event)
        self._undelivered.append(event)
        self._deliver()

    def _deliver(self) -> None:
        """Tell every listener. What goes wrong with one is neither the writer's affair nor the others'."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._undelivered:
                event = self._undelivered.popleft()
                for listener in tuple(self._listeners):
                    try:
                        listener(event)
                    except Exception as error:  # noqa: BLE001 - reported to the loop's handler
                        report_failure(f"a listener failed at {event.type} of {_place(event)}", error)
        finally:
            self._delivering = False

    def _stored(self, key: str) -> dict[tuple[str, str], Object]:
        return self._objects.setdefault(key, {})

    def _now(self) -> str:
        return seconds_text(self.clock.now())

    def _generated_name(self, key: str, namespace: str, prefix: str) -> str:
        name = ""
        for _ in range(_NAME_TRIES):
            name = prefix[:58] + "".join(self.random.choices(_NAME_ALPHABET, k=5))
            if (namespace, name) not in self._stored(key):
                break
        return name


def report_failure(message: str, error: Exception) -> None:
    """Tell the loop's exception handler of a failure that must not stop whoever ran into it.

    It logs the traceback; in a test it fails the story.
    """
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


def _place(event: Event) -> str:
    return f"{event.resource.key} {namespace_of(event.object)}/{name_of(event.object)}"


def _tidy(meta: dict[str, object]) -> None:
    # A typed server writes no empty metadata, and null means absent.
    for member in [name for name, value in meta.items() if value is None or value in ({}, [], "")]:
        del meta[member]
