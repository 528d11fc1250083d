"""The milestones of one object on its way through a scenario: in a recorded timeline, and in the sandbox's.

A line of a timeline reads `MODIFIED Kind name gen=2/1 revision=1 want=3 | numbers | conditions`. The
sandbox's events are put into the same words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from responder.sandbox.api.store import Event, Object

T = TypeVar("T")
KINDS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "EndpointSlice")
_LINE = re.compile(
    r"(?:<rv:\d+> )?(?P<type>[A-Z]+) (?P<kind>\w+) (?P<name>\S+) gen=(?P<gen>\S+)(?P<head>[^|]*)"
    r"\|(?P<numbers>[^|]*)(?:\|(?P<conditions>.*))?"
)
_UNCOUNTED = ("observedGeneration", "conditions")


@dataclass(frozen=True, slots=True)
class State:
    """One line of a timeline."""

    kind: str
    name: str
    gen: str
    revision: str
    numbers: dict[str, str]
    conditions: dict[str, str]

    def number(self, name: str) -> int:
        """A status number, or how many endpoints are in a state; absent is 0."""
        return int(self.numbers.get(name, "0"))


def parse_line(line: str) -> State:
    """A recorded line as a state."""
    found = _LINE.fullmatch(line.strip())
    assert found is not None, line
    revision = re.search(r"revision=(\S+)", found["head"])
    pairs = (each for each in re.split(r"[ ]+", found["numbers"].strip()) if each)
    separator = ":" if found["kind"] == "EndpointSlice" else "="
    conditions = dict(each.split("=", 1) for each in (found["conditions"] or "").split())
    return State(
        found["kind"],
        found["name"],
        "" if found["kind"] == "EndpointSlice" else found["gen"],
        revision[1] if revision else "",
        dict(each.rsplit(separator, 1) for each in pairs),
        conditions,
    )


def state_of(event: Event) -> State | None:
    """What a recorded line would say of the event; None for an object that timelines do not follow."""
    obj, kind = event.object, event.resource.kind
    if kind not in KINDS:
        return None
    metadata, status = obj["metadata"], obj.get("status") or {}
    if kind == "EndpointSlice":
        return State(kind, metadata["name"], "", "", _endpoints(obj), {})
    numbers = {key: str(value) for key, value in status.items() if key not in _UNCOUNTED}
    conditions = {
        each["type"]: f"{each['status']}/{each.get('reason', '')}" for each in status.get("conditions") or []
    }
    gen = f"{metadata['generation']}/{status.get('observedGeneration', '-')}"
    revision = (metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision", "-")
    return State(kind, metadata["name"], gen, revision, numbers, conditions)


def milestones(states: list[State]) -> dict[str, Any]:
    """What of an object's way is the same on each run: what it ends as, and in which order it got there."""
    last = states[-1]
    result: dict[str, Any] = {"last numbers": last.numbers, "last conditions": list(last.conditions.items())}
    match last.kind:
        case "Deployment":
            result["generations and revisions"] = _successive((each.gen, each.revision) for each in states)
            for kind in ("Progressing", "Available"):
                seen = _successive(each.conditions.get(kind, "") for each in states)
                result[kind] = seen
            result["most replicas"] = max(each.number("replicas") for each in states)
        case "ReplicaSet":
            result["revisions"] = _successive(each.revision for each in states)
        case "StatefulSet":
            result["all"] = _successive((each.gen, tuple(sorted(each.numbers.items()))) for each in states)
        case "DaemonSet":
            result["generations"] = _successive(each.gen for each in states)
            result["updated"] = _successive(each.number("updatedNumberScheduled") for each in states)
            result["fewest available"] = min(
                [each.number("numberAvailable") for each in states if each.gen[0] > "1"], default=0
            )
        case _:
            pass
    return result


def by_object(states: Iterable[State]) -> dict[tuple[str, str], list[State]]:
    """The states of each object."""
    found: dict[tuple[str, str], list[State]] = {}
    for state in states:
        found.setdefault((state.kind, state.name), []).append(state)
    return found


def _endpoints(obj: Object) -> dict[str, str]:
    words = Counter(_words(each["conditions"]) for each in obj.get("endpoints") or [])
    return {word: str(count) for word, count in words.items()}


def _words(conditions: dict[str, bool]) -> str:
    names = [name for name in ("ready", "serving", "terminating") if conditions.get(name)]
    return "+".join(names) or "unready"


def _successive(items: Iterable[T]) -> list[T]:
    listed = list(items)
    return [item for index, item in enumerate(listed) if index == 0 or listed[index - 1] != item]
