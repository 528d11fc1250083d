"""The garbage collector and the end of namespaces: what goes away because something else does.

It sees every write and answers with deletes. The store owns it; nothing else calls it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from responder.sandbox.api.objects import Object, copied, finalizers, name_of, namespace_of, owner_references
from responder.sandbox.api.resources import Resource

if TYPE_CHECKING:
    from responder.sandbox.api.store import Event, Store

_MANAGER = "kube-controller-manager"
# A namespace stands in phase Terminating for a moment even when it is empty, as on a real cluster.
_NAMESPACE_END_SECONDS = 2.0


class GarbageCollector:
    """Removes dependents of removed owners, and keeps the promises of foreground and orphan deletion."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def observe(self, event: Event) -> None:
        """React to one write."""
        obj, uid = event.object, event.object["metadata"]["uid"]
        if event.type == "DELETED":
            self._collect_dependents(uid)
            self._release_owners(obj)
        else:
            self._drop_if_dangling(event.resource, obj)
            if obj["metadata"].get("deletionTimestamp"):
                self._advance_deletion(event.resource, obj)

    def _collect_dependents(self, owner_uid: str) -> None:
        for resource, dependent in list(self._store.dependents(owner_uid)):
            self._drop_if_dangling(resource, dependent)

    def _drop_if_dangling(self, resource: Resource, obj: Object) -> None:
        owners = owner_references(obj)
        if not owners or obj["metadata"].get("deletionTimestamp"):
            return
        if not any(self._is_there(owner, namespace_of(obj)) for owner in owners):
            self._delete(resource, obj, "Background")

    def _is_there(self, owner: Object, namespace: str) -> bool:
        """Whether an owner lives beside its dependent, or in no namespace, under this name and uid."""
        resource = self._store.catalog.by_kind(str(owner.get("apiVersion")), str(owner.get("kind")))
        if resource is None or (resource.namespaced and not namespace):
            # Nobody can look it up, so nobody can say that it is gone.
            return True
        place = namespace if resource.namespaced else ""
        found = self._store.look(resource.storage_key, place, str(owner.get("name")))
        return found is not None and found["metadata"]["uid"] == owner.get("uid")

    def _release_owners(self, obj: Object) -> None:
        for owner in owner_references(obj):
            resource = self._store.catalog.by_kind(str(owner.get("apiVersion")), str(owner.get("kind")))
            if resource is None:
                continue
            namespace = namespace_of(obj) if resource.namespaced else ""
            found = self._store.get(resource.key, namespace, str(owner.get("name")))
            if found is not None and "foregroundDeletion" in finalizers(found):
                self._advance_deletion(resource, found)
        if namespace_of(obj):
            home = self._store.get("namespaces", "", namespace_of(obj))
            if home is not None and home["metadata"].get("deletionTimestamp"):
                self._empty_namespace(namespace_of(obj))

    def _advance_deletion(self, resource: Resource, obj: Object) -> None:
        if resource.key == "namespaces":
            self._empty_namespace(name_of(obj))
        elif "foregroundDeletion" in finalizers(obj):
            self._delete_in_foreground(resource, obj)
        elif "orphan" in finalizers(obj):
            self._orphan(resource, obj)

    def _delete_in_foreground(self, resource: Resource, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for kind, dependent in list(self._store.dependents(uid)):
            if not dependent["metadata"].get("deletionTimestamp"):
                deeper = any(True for _ in self._store.dependents(dependent["metadata"]["uid"]))
                self._delete(kind, dependent, "Foreground" if deeper else "Background")
        blocking = any(
            reference.get("uid") == uid and reference.get("blockOwnerDeletion")
            for _, dependent in self._store.dependents(uid)
            for reference in owner_references(dependent)
        )
        if not blocking:
            self._remove_finalizer(resource, owner, "foregroundDeletion")

    def _orphan(self, resource: Resource, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for kind, dependent in list(self._store.dependents(uid)):
            freed = copied(dependent)
            freed["metadata"]["ownerReferences"] = [
                reference for reference in owner_references(freed) if reference.get("uid") != uid
            ]
            self._store.update(kind.key, freed, manager=_MANAGER)
        self._remove_finalizer(resource, owner, "orphan")

    def _remove_finalizer(self, resource: Resource, owner: Object, finalizer: str) -> None:
        current = self._store.get(resource.key, namespace_of(owner), name_of(owner))
        if current is None or finalizer not in finalizers(current):
            return
        current["metadata"]["finalizers"] = [kept for kept in finalizers(current) if kept != finalizer]
        self._store.update(resource.key, current, manager=_MANAGER)

    def _delete(self, resource: Resource, obj: Object, propagation: str) -> None:
        current = self._store.get(resource.key, namespace_of(obj), name_of(obj))
        if current is not None and current["metadata"]["uid"] == obj["metadata"]["uid"]:
            self._store.delete(resource.key, namespace_of(obj), name_of(obj), propagation=propagation)

    def _empty_namespace(self, name: str) -> None:
        left = 0
        for resource in {resource.storage_key: resource for resource in self._store.catalog}.values():
            if not resource.namespaced or resource.stored_as:
                continue
            for obj in list(self._store.scan(resource.key, name)):
                if not obj["metadata"].get("deletionTimestamp"):
                    self._delete(resource, obj, "Background")
            left += sum(1 for _ in self._store.scan(resource.key, name))
        if not left:
            asyncio.get_running_loop().call_later(_NAMESPACE_END_SECONDS, self._finish_namespace, name)

    def _finish_namespace(self, name: str) -> None:
        namespace = self._store.get("namespaces", "", name)
        if namespace is not None and namespace["metadata"].get("deletionTimestamp"):
            namespace["spec"] = {}
            self._store.update("namespaces", namespace, manager=_MANAGER)
