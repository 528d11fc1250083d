"""Since when a Service's endpoints have been other than its slices say: what latency measurements start from.

Keeps what it saw of each Service; knows nothing of slices. Called by the EndpointSlice controller.
Source: Kubernetes staging/src/k8s.io/endpointslice/trigger_time_tracker.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.controllers.fields import find_condition

LAST_CHANGE_TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
Key = tuple[str, str]


class TriggerTimes:
    """What brought about the latest change of each Service's endpoints: a pod's readiness, or the Service."""

    def __init__(self) -> None:
        self._seen: dict[Key, dict[str, str]] = {}

    def latest(self, key: Key, service: Object, pods: Iterable[Object]) -> str:
        """The earliest of the moments that are new since the last call for this Service; empty if none is.

        A pod that is gone has no moment, so a change that comes of its end alone has none.
        """
        seen = {"": str(service["metadata"]["creationTimestamp"])}
        for pod in pods:
            ready = find_condition(pod, "Ready")
            if ready is not None and ready.get("lastTransitionTime"):
                seen[name_of(pod)] = str(ready["lastTransitionTime"])
        before = self._seen.get(key, {})
        self._seen[key] = seen
        return min((at for name, at in seen.items() if before.get(name) != at), default="")

    def forget(self, key: Key) -> None:
        """Let go of a Service that is gone."""
        self._seen.pop(key, None)
