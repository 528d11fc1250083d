"""A Deployment with its ReplicaSets: which is current, which are old. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from responder.workloads.templates import same_template
from responder.workloads.views import Deployment, Object, ReplicaSet


@dataclass(frozen=True, slots=True)
class History:
    """A Deployment and the ReplicaSets it owns, oldest first."""

    deployment: Deployment
    replicasets: tuple[ReplicaSet, ...]

    @property
    def current(self) -> ReplicaSet | None:
        """The ReplicaSet the controller uses for the template: the oldest owned one that equals it.

        Source: Kubernetes pkg/controller/deployment/util FindNewReplicaSet.
        """
        return self.matching(self.deployment.template)

    def matching(self, template: dict[str, object]) -> ReplicaSet | None:
        """The oldest owned ReplicaSet of that template."""
        return next((rs for rs in self.replicasets if same_template(rs.template, template)), None)

    def by_uid(self, uid: str) -> ReplicaSet | None:
        """The owned ReplicaSet with that UID."""
        return next((rs for rs in self.replicasets if rs.uid == uid), None)

    @property
    def old(self) -> tuple[ReplicaSet, ...]:
        """Every owned ReplicaSet but the current one."""
        current = self.current
        return tuple(rs for rs in self.replicasets if current is None or rs.uid != current.uid)


def parse_history(deployment: Object, replicasets: Iterable[Object]) -> History:
    """Keep the ReplicaSets that the Deployment controls by UID, in the controller's order."""
    view = Deployment(deployment)
    owned = [rs for rs in map(ReplicaSet, replicasets) if rs.controller_uid == view.uid]
    return History(view, tuple(sorted(owned, key=lambda rs: (rs.created_at, rs.name))))
