"""A Deployment with its ReplicaSets: which is current, which are old. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from responder.workloads.templates import Template, same_template
from responder.workloads.views import Deployment, Object, ReplicaSet


@dataclass(frozen=True, slots=True)
class History:
    """A Deployment and the ReplicaSets it owns, oldest first.

    `current` is the one that the controller uses for the template: the oldest that equals it.
    Source: Kubernetes pkg/controller/deployment/util FindNewReplicaSet.
    """

    deployment: Deployment
    replicasets: tuple[ReplicaSet, ...]
    current: ReplicaSet | None

    def matching(self, template: Template) -> ReplicaSet | None:
        """The oldest owned ReplicaSet of that template."""
        return _oldest(self.replicasets, template)

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
    owned.sort(key=lambda rs: (rs.created_at, rs.name))
    return History(view, tuple(owned), _oldest(owned, view.template))


def _oldest(replicasets: Iterable[ReplicaSet], template: Template) -> ReplicaSet | None:
    return next((rs for rs in replicasets if same_template(rs.template, template)), None)
