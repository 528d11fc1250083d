"""What a watcher of one Deployment sees, state by state, as the recordings of a real control plane list it.

Reads the store's events and writes nothing. Used by the tests of rollouts and undos.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers.fields import (
    annotations_of,
    count,
    find_condition,
    generation_of,
    observed_generation_of,
)
from responder.sandbox.controllers.revisions import REVISION

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """One state of a Deployment: the numbers that are absent from its JSON read 0, reasons empty."""

    generation: int
    observed_generation: int
    revision: str
    replicas: int
    updated: int
    available: int
    progressing: str
    progressing_message: str
    is_available: bool

    @property
    def counts(self) -> tuple[int, int, int]:
        """Replicas, updated, available."""
        return self.replicas, self.updated, self.available


class Timeline:
    """Every state of one Deployment from now on, without repetitions."""

    def __init__(self, store: Store, namespace: str, name: str) -> None:
        self.states: list[DeploymentState] = []
        self._place = (namespace, name)
        store.subscribe(self._observe)

    def counts(self) -> list[tuple[int, int, int]]:
        """The successive (replicas, updated, available), without repetitions."""
        return _without_repetitions([state.counts for state in self.states])

    def reasons(self) -> list[str]:
        """The successive reasons of Progressing, without repetitions."""
        return _without_repetitions([state.progressing for state in self.states])

    def _observe(self, event: Event) -> None:
        obj = event.object
        if event.resource.kind != "Deployment" or (namespace_of(obj), name_of(obj)) != self._place:
            return
        state = _state(obj)
        if event.type != "DELETED" and self.states[-1:] != [state]:
            self.states.append(state)


def _state(obj: Object) -> DeploymentState:
    progressing = find_condition(obj, "Progressing") or {}
    available = find_condition(obj, "Available") or {}
    return DeploymentState(
        generation=generation_of(obj),
        observed_generation=observed_generation_of(obj),
        revision=annotations_of(obj).get(REVISION, ""),
        replicas=count(obj, "replicas"),
        updated=count(obj, "updatedReplicas"),
        available=count(obj, "availableReplicas"),
        progressing=str(progressing.get("reason", "")),
        progressing_message=str(progressing.get("message", "")),
        is_available=available.get("status") == "True",
    )


def _without_repetitions(items: list[T]) -> list[T]:
    return [item for index, item in enumerate(items) if index == 0 or items[index - 1] != item]
