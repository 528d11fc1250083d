"""A revision of a workload: a ReplicaSet, or the ControllerRevision of a StatefulSet or DaemonSet. Pure.

Everything that judges, remembers or tells works on Revision and need not know which of them it is.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from responder.workloads.templates import Template
from responder.workloads.views import CHANGE_CAUSE, REVISION, REVISION_HISTORY, View
from responder.workloads.workload import HASH_LABELS

# As many digits as Kubernetes' int64 has at most.
_NUMBER = re.compile(r"-?[0-9]{1,19}")


class Revision(View, ABC):
    """One revision. Its uid is never used again; its number moves when it is brought back."""

    @property
    @abstractmethod
    def number(self) -> int | None:
        """The revision number; None where it has none that can be read."""

    @property
    @abstractmethod
    def template(self) -> Template:
        """The pod template as the workload holds it."""

    @property
    @abstractmethod
    def hash(self) -> str:
        """What its pods carry in the label by which they name their revision."""

    @property
    @abstractmethod
    def reused(self) -> bool:
        """True unless it is certain that it has been the current revision no more than once."""

    @property
    @abstractmethod
    def ready_pods(self) -> int:
        """How many pods of it are ready."""

    @property
    def earlier_numbers(self) -> frozenset[int]:
        """The numbers that it is known to have had before it was brought back under the present one."""
        return frozenset()

    @property
    @abstractmethod
    def first_number(self) -> int | None:
        """The number that it was made under, by which revisions are told old from new; None if unknown.

        Times of creation do as well only while nobody sets the API server's clock back.
        """

    @property
    def template_annotations(self) -> Mapping[str, str]:
        """The annotations that its pods get."""
        return (self.template.get("metadata") or {}).get("annotations") or {}

    @property
    def images(self) -> tuple[str, ...]:
        containers = (self.template.get("spec") or {}).get("containers") or []
        return tuple(str(c.get("image", "")) for c in containers)

    @property
    def change_cause(self) -> str | None:
        return self.annotations.get(CHANGE_CAUSE)


class ReplicaSet(Revision):
    """A ReplicaSet: one revision of a Deployment, and what keeps its pods."""

    @property
    def replicas(self) -> int:
        value = self.spec.get("replicas")
        return 1 if value is None else int(value)

    @property
    def template(self) -> Template:
        return dict(self.spec.get("template") or {})

    @property
    def hash(self) -> str:
        return self.labels.get(HASH_LABELS["Deployment"], "")

    @property
    def number(self) -> int | None:
        """The revision number; 0 where it has none, None where it is no number, as kubectl reads it."""
        text = self.annotations.get(REVISION, "0")
        # Anybody may write it: "²" is a digit too, and no number.
        return int(text) if _NUMBER.fullmatch(text) else None

    @property
    def earlier_numbers(self) -> frozenset[int]:
        """Source: Kubernetes pkg/controller/deployment/util SetNewReplicaSetAnnotations (comma separated)."""
        numbers = self.annotations.get(REVISION_HISTORY, "").split(",")
        return frozenset(int(number) for number in numbers if _NUMBER.fullmatch(number))

    @property
    def first_number(self) -> int | None:
        numbers = {*self.earlier_numbers, self.number or 0}
        return min((number for number in numbers if number > 0), default=None)

    @property
    def reused(self) -> bool:
        return bool(self.annotations.get(REVISION_HISTORY))

    @property
    def ready_pods(self) -> int:
        return self.count("readyReplicas")


@dataclass(frozen=True, slots=True)
class ControllerRevision(Revision):
    """A ControllerRevision: a patch that brings a template back.

    `ready` counts its pods that are ready, `older` the workload's revisions that were there before it got its
    number.
    """

    ready: int = 0
    older: int = 0

    @property
    def number(self) -> int | None:
        return int(self.raw.get("revision") or 0)

    @property
    def template(self) -> Template:
        """The template as the workload holds it. Source: kubectl pkg/polymorphichelpers/rollback.go."""
        spec = (self.raw.get("data") or {}).get("spec") or {}
        return {key: value for key, value in (spec.get("template") or {}).items() if key != "$patch"}

    @property
    def hash(self) -> str:
        """Pods of a StatefulSet carry the revision's name, those of a DaemonSet its hash.

        Source: Kubernetes pkg/controller/statefulset/stateful_set_utils.go setPodRevision,
        pkg/controller/daemon/daemon_controller.go.
        """
        owners = self.metadata.get("ownerReferences") or []
        if any(owner.get("controller") and owner.get("kind") == "DaemonSet" for owner in owners):
            return self.labels.get(HASH_LABELS["DaemonSet"], "")
        return self.name

    @property
    def first_number(self) -> int | None:
        return None if self.reused else self.number

    @property
    def reused(self) -> bool:
        """A new one gets the number after the highest, and so does one that is brought back.

        One whose number is no higher than those before it allow was never brought back; where history was cut
        off at its limit, that can't be told.
        """
        return self.number is None or self.number > self.older + 1

    @property
    def ready_pods(self) -> int:
        return self.ready
