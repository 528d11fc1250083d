"""Read-only views on Kubernetes objects: the few fields that the responder reads, by name. Pure.

A status number that is zero is absent from the JSON, so absent reads as 0; `terminatingReplicas` is the
exception (absent: not reported). Source: Kubernetes api/apps/v1/types.go (omitempty).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Object = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
CHANGE_CAUSE = "kubernetes.io/change-cause"
SERVICE_NAME = "kubernetes.io/service-name"
FREEZE = "responder.dev/freeze"
# On a pod template: going back behind this revision is no way out.
IRREVERSIBLE = "responder.dev/irreversible"
# A label, because kubectl's undo wipes annotations, and because an annotation would raise the generation.
FENCE = "responder.dev/fence"


def parse_time(text: str) -> datetime:
    """An RFC 3339 time of the API, as an aware instant."""
    return datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class View:
    """What every object has."""

    raw: Object

    @property
    def metadata(self) -> Object:
        return dict(self.raw.get("metadata") or {})

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def uid(self) -> str:
        return str(self.metadata.get("uid", ""))

    @property
    def resource_version(self) -> str:
        return str(self.metadata.get("resourceVersion", ""))

    @property
    def generation(self) -> int:
        return int(self.metadata.get("generation") or 0)

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.metadata.get("annotations") or {}

    @property
    def created_at(self) -> datetime:
        return parse_time(self.metadata["creationTimestamp"])

    @property
    def terminating(self) -> bool:
        return bool(self.metadata.get("deletionTimestamp"))

    @property
    def spec(self) -> Object:
        return self.raw.get("spec") or {}

    @property
    def status(self) -> Object:
        return self.raw.get("status") or {}

    @property
    def controller_uid(self) -> str | None:
        """The UID of the controlling owner; kind and name are not looked at, as controllers do."""
        for owner in self.metadata.get("ownerReferences") or []:
            if owner.get("controller"):
                return str(owner["uid"])
        return None

    def condition(self, kind: str) -> Object | None:
        """The status condition of that type."""
        return next((c for c in self.status.get("conditions") or [] if c.get("type") == kind), None)

    def count(self, field: str) -> int:
        """A status number; absent is 0."""
        return int(self.status.get(field) or 0)

    @property
    def observed(self) -> bool:
        """True when the status was computed from this generation or a later one."""
        return int(self.status.get("observedGeneration") or 0) >= self.generation


class Pod(View):
    """A Pod."""

    def made_by(self, owner: str) -> bool:
        """True when a controller of that name created it; one that was adopted keeps its maker's prefix.

        Source: Kubernetes pkg/controller/controller_utils.go (getPodsPrefix).
        """
        return self.metadata.get("generateName") in (f"{owner}-", owner)

    @property
    def node(self) -> str:
        """The node it was put on; empty before that."""
        return str(self.spec.get("nodeName") or "")

    @property
    def terminal(self) -> bool:
        return self.status.get("phase") in ("Succeeded", "Failed")

    @property
    def running(self) -> bool:
        return self.status.get("phase") == "Running"

    @property
    def ready(self) -> bool:
        condition = self.condition("Ready")
        return condition is not None and condition.get("status") == "True"

    @property
    def ready_since(self) -> str | None:
        """The Ready condition's last transition, as the API writes it (whole seconds)."""
        condition = self.condition("Ready")
        return None if condition is None else condition.get("lastTransitionTime")

    @property
    def restarts(self) -> int:
        return sum(int(c.get("restartCount") or 0) for c in self.status.get("containerStatuses") or [])


class Service(View):
    """A Service."""

    @property
    def selector(self) -> Mapping[str, str]:
        return self.spec.get("selector") or {}

    @property
    def ip_families(self) -> tuple[str, ...]:
        return tuple(self.spec.get("ipFamilies") or ("IPv4",))

    @property
    def ports(self) -> Mapping[str, str]:
        """The port of the pods that each of its ports leads to, a number or a name, by its own name."""
        ports = self.spec.get("ports") or []
        return {
            str(port.get("name") or ""): str(port.get("targetPort") or port.get("port")) for port in ports
        }

    def selects(self, labels: Mapping[str, str]) -> bool:
        """True when it has a selector and every pair of it is among these labels."""
        return bool(self.selector) and self.selector.items() <= dict(labels).items()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a slice. Absent conditions mean ready, serving, not terminating.

    Source: Kubernetes api/discovery/v1/types.go (EndpointConditions).
    """

    pod_uid: str | None
    address: str
    ready: bool
    serving: bool
    terminating: bool


class EndpointSlice(View):
    """An EndpointSlice."""

    @property
    def service(self) -> str:
        return self.labels.get(SERVICE_NAME, "")

    @property
    def address_type(self) -> str:
        return str(self.raw.get("addressType", "IPv4"))

    @property
    def ports(self) -> frozenset[tuple[str, int]]:
        """The Service's ports that lead to its endpoints, each with its number there.

        A slice without any leads nowhere. Source: Kubernetes pkg/proxy/endpointslicecache.go (addEndpoints).
        """
        ports = self.raw.get("ports") or []
        return frozenset((str(p.get("name") or ""), int(p["port"])) for p in ports if p.get("port"))

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(_endpoint(item) for item in self.raw.get("endpoints") or [])


def _endpoint(item: Object) -> Endpoint:
    conditions = item.get("conditions") or {}
    target = item.get("targetRef") or {}
    return Endpoint(
        pod_uid=str(target["uid"]) if target.get("kind") == "Pod" and target.get("uid") else None,
        address=str((item.get("addresses") or [""])[0]),
        ready=conditions.get("ready") is not False,
        serving=conditions.get("serving") is not False,
        terminating=conditions.get("terminating") is True,
    )
