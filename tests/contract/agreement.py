"""Whether an answer agrees with a recorded one in what always holds, whatever the controllers' timing.

Placeholders such as <hash:1> stand for the same value throughout a scenario. Left out is what differs from
run to run of the real control plane: versions, times, addresses, random names, how many steps it took.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_PLACEHOLDER = re.compile(r"<[a-zA-Z0-9]+(?::\d+)?>")
# Stand for another value each time, or for one that nothing depends on.
_FREE = ("time", "microtime", "server", "age", "fieldsV1", "pem", "rv", "ip", "hex", "rand", "continue")
_TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
# The recording's kubelet and the sandbox's go by different names.
_NAMES = ((re.compile(r"(harness-)?node-\d"), "node"), (re.compile(r"(harness|sandbox)://"), "runtime://"))
# Marks a list of which the recording holds only the first items.
_CUT = "_cut"
_UNORDERED = ("items", "endpoints", "addresses", "subsets")


@dataclass(slots=True)
class Agreement:
    """One scenario's comparison: what each placeholder stands for so far."""

    bound: dict[str, str] = field(default_factory=dict)
    # Whether slices are compared with their trigger time, which holds only where changes come one by one.
    calm: bool = False

    def differences(self, wanted: Any, found: Any, *, moving: bool) -> list[str]:
        """What differs, empty when they agree; moving leaves out what changes while a rollout is under way.

        Placeholders are bound only by an answer that agrees.
        """
        before = dict(self.bound)
        result = list(self._compare(self._reduced(wanted, moving), self._reduced(found, moving), "body"))
        if result:
            self.bound = before
        return result

    def filled(self, text: str) -> str:
        """The text with all placeholders that are bound replaced."""
        return _PLACEHOLDER.sub(lambda found: self.bound.get(found.group(), found.group()), text)

    def _reduced(self, body: Any, moving: bool) -> Any:
        if not isinstance(body, dict):
            return body
        kind = str(body.get("kind", ""))
        if not kind.endswith("List"):
            return self._reduced_object(kind, body, moving)
        if kind == "EventList":
            return sorted({_event_shape(each) for each in body["items"]})
        items = [self._reduced_object(kind.removesuffix("List"), each, moving) for each in body["items"]]
        total = body.get("_items_total", len(items))
        cut = "_items_total" in body
        return {"kind": kind, "items": items, "total": 0 if moving else total, _CUT: cut}

    def _reduced_object(self, kind: str, obj: dict[str, Any], moving: bool) -> dict[str, Any]:
        meta = {name: value for name, value in obj.get("metadata", {}).items() if name != "managedFields"}
        annotations = dict(meta.get("annotations") or {})
        result = {**obj, "metadata": meta}
        if kind in ("ReplicaSet", "EndpointSlice"):
            # Generations count the steps; what matters is whether the latest was seen.
            generation = meta.pop("generation", None)
            if kind == "ReplicaSet":
                status = {**obj["status"]}
                status["observedGeneration"] = status.get("observedGeneration") == generation
                result["status"] = status
        if kind == "EndpointSlice" and not self.calm:
            annotations.pop(_TRIGGER_TIME, None)
        if moving:
            result.pop("status", None)
            result.pop("endpoints", None)
            if kind == "ReplicaSet":
                result["spec"] = {name: item for name, item in obj["spec"].items() if name != "replicas"}
        if "annotations" in meta:
            meta["annotations"] = annotations
        if not annotations:
            meta.pop("annotations", None)
        return result

    def _compare(self, wanted: Any, found: Any, path: str) -> Iterator[str]:
        if isinstance(wanted, dict) and isinstance(found, dict):
            for name in sorted((wanted.keys() | found.keys()) - {_CUT}):
                where = f"{path}.{name}"
                if name not in found:
                    yield f"{where} is missing, should be {_short(wanted[name])}"
                elif name not in wanted:
                    yield f"{where} should not be there, is {_short(found[name])}"
                elif name in _UNORDERED and isinstance(wanted[name], list) and isinstance(found[name], list):
                    cut = bool(wanted.get(_CUT))
                    yield from self._compare_unordered(wanted[name], found[name], where, cut=cut)
                else:
                    yield from self._compare(wanted[name], found[name], where)
        elif isinstance(wanted, list) and isinstance(found, list):
            if len(wanted) != len(found):
                yield f"{path} has {len(found)} items, should have {len(wanted)}: {_short(found)}"
                return
            for index, (left, right) in enumerate(zip(wanted, found, strict=True)):
                yield from self._compare(left, right, f"{path}[{index}]")
        elif isinstance(wanted, str) and isinstance(found, str):
            if not self._matches(_renamed(wanted), _renamed(found), path):
                yield f"{path} is {_short(found)}, should be {_short(wanted)}"
        elif wanted != found or type(wanted) is not type(found):
            yield f"{path} is {_short(found)}, should be {_short(wanted)}"

    def _compare_unordered(
        self, wanted: list[Any], found: list[Any], path: str, *, cut: bool
    ) -> Iterator[str]:
        """Find a partner for each wanted item; of a list that was cut, others are left."""
        left = list(found)
        if not cut and len(left) != len(wanted):
            yield f"{path} has {len(left)} items, should have {len(wanted)}"
            return
        for index, item in enumerate(wanted):
            nearest: list[str] | None = None
            for candidate in left:
                before = dict(self.bound)
                differences = list(self._compare(item, candidate, f"{path}[{index}]"))
                if not differences:
                    left.remove(candidate)
                    break
                self.bound = before
                if nearest is None or len(differences) < len(nearest):
                    nearest = differences
            else:
                yield from nearest or [f"{path}[{index}] has no partner: {_short(item)}"]

    def _matches(self, wanted: str, found: str, path: str) -> bool:
        pattern, names, at = "", [], 0
        for placeholder in _PLACEHOLDER.finditer(wanted):
            name = placeholder.group()
            pattern += re.escape(wanted[at : placeholder.start()])
            pattern += "(.+?)" if self._is_free(name, path) else re.escape(self.bound[name])
            if self._is_free(name, path):
                names.append(name)
            at = placeholder.end()
        matched = re.fullmatch(pattern + re.escape(wanted[at:]), found, re.DOTALL)
        if matched is None:
            return False
        self.bound.update(zip(names, matched.groups(), strict=True))
        return True

    def _is_free(self, name: str, path: str) -> bool:
        kind = name.strip("<>").partition(":")[0]
        # Which pod is which hangs on the order they came in; whose they are does not.
        pods_own = kind == "uid" and ("targetRef" in path or "containerID" in path or ".items" in path)
        return name not in self.bound or kind in _FREE or (pods_own and "ownerReferences" not in path)


def _event_shape(event: dict[str, Any]) -> str:
    """What an Event says, without the numbers that hang on timing."""
    message = re.sub(r"\b\d+\b", "N", event["message"].removeprefix("(combined from similar events): "))
    message = re.sub(r"payment-service-\S+", "X", message)
    return f"{event['type']} {event['reason']} {event['source'].get('component')}: {message}"


def _renamed(text: str) -> str:
    for pattern, name in _NAMES:
        text = pattern.sub(name, text)
    return text


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 300 else text[:300] + "..."
