"""What the Kubernetes client hands out. Objects stay the plain JSON they are: readers name the fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A whole list, all its pages, as of one resourceVersion: where a watch may go on."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch. `type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


@dataclass(frozen=True, slots=True)
class Listed:
    """Everything there is now: forget what you knew."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Changed:
    """One object was ADDED, MODIFIED or DELETED; a deleted one carries its last state."""

    type: str
    object: Object


@dataclass(frozen=True, slots=True)
class Gap:
    """The view was interrupted: for some seconds until now, changes may have passed unseen."""

    reason: str


Observation = Listed | Changed | Gap
