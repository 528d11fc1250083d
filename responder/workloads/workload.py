"""The workloads that can be rolled back, as the responder reads them: one view a kind. Pure."""

from __future__ import annotations

from types import MappingProxyType

from responder.workloads.templates import Template
from responder.workloads.views import FENCE, Object, View

# By which label a pod says what revision it was made from.
# Source: Kubernetes pkg/apis/apps/types.go (ControllerRevisionHashLabelKey, DefaultDeploymentUniqueLabelKey).
HASH_LABELS = MappingProxyType(
    {
        "Deployment": "pod-template-hash",
        "StatefulSet": "controller-revision-hash",
        "DaemonSet": "controller-revision-hash",
    }
)


class Workload(View):
    """What every kind has."""

    kind = ""

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.namespace}/{self.name}"

    @property
    def replicas(self) -> int:
        """How many pods are wanted; absent is 1, the API's default."""
        value = self.spec.get("replicas")
        return 1 if value is None else int(value)

    @property
    def template(self) -> Template:
        return dict(self.spec.get("template") or {})

    @property
    def paused(self) -> bool:
        """True where the controller rolls nothing out; only a Deployment can be paused."""
        return bool(self.spec.get("paused"))

    @property
    def fence(self) -> str | None:
        return self.labels.get(FENCE)

    @property
    def hash_label(self) -> str:
        """The label by which its pods name their revision."""
        return HASH_LABELS[self.kind]

    @property
    def rolls_on_delete(self) -> bool:
        """True where pods are replaced only when somebody deletes them."""
        return (self.spec.get("updateStrategy") or {}).get("type") == "OnDelete"

    @property
    def complete(self) -> bool:
        """True when the rollout is over: every pod updated and available, none left over."""
        return self.observed and all(count == self.replicas for count in self._counts())

    def _counts(self) -> tuple[int, ...]:
        # Source: Kubernetes pkg/controller/deployment/util DeploymentComplete
        return tuple(map(self.count, ("updatedReplicas", "replicas", "availableReplicas")))


class Deployment(Workload):
    """A Deployment."""

    kind = "Deployment"


class StatefulSet(Workload):
    """A StatefulSet."""

    kind = "StatefulSet"

    @property
    def ordered(self) -> bool:
        """True where no pod is touched while one before it is not ready."""
        return self.spec.get("podManagementPolicy") != "Parallel"

    @property
    def partition(self) -> int:
        """The number of pods, from the lowest ordinal on, that no update touches."""
        rolling = (self.spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
        return int(rolling.get("partition") or 0)

    @property
    def current_revision(self) -> str:
        """The name of the revision that pods below the partition run."""
        return str(self.status.get("currentRevision") or "")

    @property
    def update_revision(self) -> str:
        """The name of the revision that pods are brought to."""
        return str(self.status.get("updateRevision") or "")


class DaemonSet(Workload):
    """A DaemonSet."""

    kind = "DaemonSet"

    @property
    def replicas(self) -> int:
        """The number of nodes that are to run a pod, as its controller last counted them."""
        return self.count("desiredNumberScheduled")

    def _counts(self) -> tuple[int, ...]:
        # Source: kubectl pkg/polymorphichelpers/rollout_status.go (DaemonSetStatusViewer), and stricter
        return tuple(map(self.count, ("updatedNumberScheduled", "currentNumberScheduled", "numberAvailable")))


_VIEWS = {view.kind: view for view in (Deployment, StatefulSet, DaemonSet)}


def parse_workload(obj: Object) -> Workload:
    """The view on an API object of one of the three kinds. A KeyError for another kind."""
    return _VIEWS[str(obj["kind"])](obj)
