"""Which workload is meant: by the labels of an alert, by a rule file, by an incident. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

# The labels by which kube-state-metrics names a workload, and the kind each stands for.
KIND_BY_LABEL = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}

_NAME_LIMIT = 253  # Source: Kubernetes pkg/apis/core/validation, RFC 1123 subdomain
# Room for "-" and a 12-digit sequence number, and for "-" and the 10-digit digest of a Decision.
_ROOM = 13 + 11


@dataclass(frozen=True, slots=True, order=True)
class WorkloadKey:
    """A workload's namespace, kind and name."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.namespace}/{self.name}"

    @property
    def record_name(self) -> str:
        """The name of this workload's WorkloadRecord; unique in the namespace, at most 229 characters."""
        name = f"{self.kind.lower()}-{self.name}"
        if len(name) <= _NAME_LIMIT - _ROOM:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        return f"{name[: _NAME_LIMIT - _ROOM - 11]}-{digest}"

    @property
    def label_value(self) -> str:
        """A short label value for selecting this workload's objects (a name need not fit a label)."""
        return hashlib.sha256(f"{self.namespace}/{self.kind}/{self.name}".encode()).hexdigest()[:16]

    def incident_name(self, sequence: int) -> str:
        """The name of this workload's incident number `sequence`; two replicas arrive at the same one."""
        return f"{self.record_name}-{sequence}"


def parse_workload_labels(labels: Mapping[str, str]) -> WorkloadKey | None:
    """The workload that an alert's labels name, or None where they name none or more than one."""
    namespace = labels.get("namespace", "")
    named = [(kind, labels[label]) for label, kind in KIND_BY_LABEL.items() if labels.get(label)]
    if not namespace or len(named) != 1:
        return None
    kind, name = named[0]
    return WorkloadKey(namespace, kind, name)
