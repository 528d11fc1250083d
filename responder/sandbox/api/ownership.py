"""Which objects name which as their owner: what garbage collection asks for.

Holds places, not objects. The store keeps it up to date.
"""

from __future__ import annotations

from collections.abc import Sequence

from responder.sandbox.api.objects import Object, name_of, namespace_of, owner_references
from responder.sandbox.api.resources import Resource

# Key, namespace and name.
Place = tuple[str, str, str]


class Ownership:
    """The dependents of each owner."""

    def __init__(self) -> None:
        self._by_owner: dict[str, set[Place]] = {}

    def dependents(self, uid: str) -> Sequence[Place]:
        """Return where the objects stand whose ownerReferences name uid, sorted."""
        return sorted(self._by_owner.get(uid, ()))

    def add(self, resource: Resource, obj: Object) -> None:
        """Take note of an object."""
        for owner in owner_references(obj):
            self._by_owner.setdefault(str(owner.get("uid")), set()).add(_place(resource, obj))

    def remove(self, resource: Resource, obj: Object) -> None:
        """Forget an object."""
        for uid in {str(owner.get("uid")) for owner in owner_references(obj)}:
            places = self._by_owner.get(uid, set())
            places.discard(_place(resource, obj))
            if not places:
                self._by_owner.pop(uid, None)


def _place(resource: Resource, obj: Object) -> Place:
    return resource.key, namespace_of(obj), name_of(obj)
