"""Events as controllers write them: one object a fact, counted up when it repeats, combined when it floods.

Core v1 Events, as kube-controller-manager records them. Called by the controllers; failures to write one are
theirs to see.
Source: Kubernetes staging/src/k8s.io/client-go/tools/record/events_cache.go.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from responder.clock import Clock
from responder.sandbox.api.objects import Object, name_of, namespace_of, seconds_text
from responder.sandbox.api.store import Store
from responder.sandbox.controllers.fields import uid_of

# Ten similar events within ten minutes stay as they are; from then on they are merged into one.
_SIMILAR_LIMIT = 10
_SIMILAR_WINDOW = timedelta(minutes=10)
_REMEMBERED = 4096


@dataclass(slots=True)
class _Similar:
    """Events that differ in their message alone."""

    last_at: datetime
    messages: set[str] = field(default_factory=set)


class EventRecorder:
    """Writes Events in the name of one component."""

    def __init__(self, store: Store, clock: Clock, component: str) -> None:
        self._store = store
        self._clock = clock
        self._component = component
        self._names: OrderedDict[tuple[str, ...], str] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._written = 0

    def record(self, about: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """Write an Event about an object, or count up the one that says the same."""
        now = self._clock.now()
        kind = "Warning" if warning else "Normal"
        similar_key = (uid_of(about), kind, reason)
        key: tuple[str, ...] = (*similar_key, message)
        if self._is_flood(similar_key, message, now):
            key, message = similar_key, f"(combined from similar events): {message}"
        known = self._names.get(key)
        stored = self._store.get("events", _namespace(about), known) if known is not None else None
        if stored is not None:
            stored |= {"count": stored["count"] + 1, "lastTimestamp": seconds_text(now), "message": message}
            self._store.update("events", stored, manager="kube-controller-manager")
            return
        event = self._event(about, kind, reason, message, now)
        self._store.create("events", event, manager="kube-controller-manager")
        self._names[key] = name_of(event)
        _forget_oldest(self._names)

    def _is_flood(self, key: tuple[str, ...], message: str, now: datetime) -> bool:
        similar = self._similar.get(key)
        if similar is None or now - similar.last_at > _SIMILAR_WINDOW:
            similar = self._similar[key] = _Similar(now)
            _forget_oldest(self._similar)
        similar.last_at = now
        if len(similar.messages) < _SIMILAR_LIMIT:
            similar.messages.add(message)
            return len(similar.messages) >= _SIMILAR_LIMIT
        return True

    def _event(self, about: Object, kind: str, reason: str, message: str, now: datetime) -> Object:
        self._written += 1
        # The real name ends in the time in nanoseconds; the number written keeps two of one instant apart.
        suffix = f"{int(now.timestamp()) * 10**9 + self._written:x}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name_of(about)}.{suffix}", "namespace": _namespace(about)},
            "involvedObject": {
                "kind": about["kind"],
                "namespace": namespace_of(about),
                "name": name_of(about),
                "uid": uid_of(about),
                "apiVersion": about["apiVersion"],
                "resourceVersion": about["metadata"].get("resourceVersion", ""),
            },
            "reason": reason,
            "message": message,
            "source": {"component": self._component},
            "firstTimestamp": seconds_text(now),
            "lastTimestamp": seconds_text(now),
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": "",
        }


def _namespace(about: Object) -> str:
    return namespace_of(about) or "default"


def _forget_oldest(memory: OrderedDict[tuple[str, ...], Any]) -> None:
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
