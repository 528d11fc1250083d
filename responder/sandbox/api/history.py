"""The recent writes of the store, for watches that begin in the past and lists that stay at one version.

Bounded: what falls out is compacted, and who asks for it gets 410 as from a real server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from responder.sandbox.api import status
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.resources import Resource

# Events are watched in etcd itself, not through the server's cache, and etcd says it differently.
_UNCACHED = frozenset({"events"})
EventType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Event:
    """One write: object is its result (for DELETED the last state), previous what stood there before.

    Listeners share both: they must not change them.
    """

    type: EventType
    resource: Resource
    object: Object
    previous: Object | None
    resource_version: int


class History:
    """The last writes, oldest first, at most limit of them."""

    def __init__(self, limit: int) -> None:
        self._events: deque[Event] = deque()
        self._limit = limit
        self._compacted = 0
        self._begins: dict[str, int] = {}

    def append(self, event: Event) -> None:
        """Remember one write, forgetting the oldest when there are too many."""
        self._events.append(event)
        if len(self._events) > self._limit:
            self._compacted = self._events.popleft().resource_version

    def begin(self, key: str, version: int) -> None:
        """Let the history of a resource that is served from now on begin at version."""
        self._begins[key] = version

    def compact(self, version: int) -> None:
        """Forget the writes up to and including version, as etcd does from time to time."""
        while self._events and self._events[0].resource_version <= version:
            self._events.popleft()
        self._compacted = max(self._compacted, version)

    def after(self, version: int, key: str) -> Sequence[Event]:
        """Return the writes to key after version, oldest first; ApiError 410 when some are forgotten."""
        oldest = max(self._compacted, self._begins.get(key, 0))
        if version < oldest:
            uncached = "The resourceVersion for the provided watch is too old."
            too_old = f"too old resource version: {version} ({oldest})"
            raise status.expired(uncached if key in _UNCACHED else too_old)
        newer: list[Event] = []
        for event in reversed(self._events):
            if event.resource_version <= version:
                break
            if event.resource.key == key:
                newer.append(event)
        newer.reverse()
        return newer

    def objects_at(self, version: int, key: str, present: Iterable[Object]) -> Sequence[Object]:
        """Return the objects of key as they stood at version, given those of now; uncopied, sorted.

        Raises ApiError 410 when the history does not reach back so far.
        """
        objects = {(namespace_of(obj), name_of(obj)): obj for obj in present}
        for event in reversed(self.after(version, key)):
            place = (namespace_of(event.object), name_of(event.object))
            if event.previous is None:
                objects.pop(place, None)
            else:
                objects[place] = event.previous
        return [objects[place] for place in sorted(objects)]
