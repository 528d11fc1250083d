"""A workload with its revisions: which is current, which are old, which pods are whose. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from responder.workloads.revision import ControllerRevision, ReplicaSet, Revision
from responder.workloads.templates import same_template
from responder.workloads.views import Object, Pod
from responder.workloads.workload import Workload, parse_workload


@dataclass(frozen=True, slots=True)
class History:
    """A workload and the revisions it owns, in the order in which its controller looks for a template."""

    workload: Workload
    revisions: tuple[Revision, ...]

    @property
    def current(self) -> Revision | None:
        """The revision that the controller uses for the template."""
        return self.matching(self.workload.template)

    def matching(self, template: dict[str, object]) -> Revision | None:
        """The revision that the controller would use for that template."""
        return next((each for each in self.revisions if same_template(each.template, template)), None)

    def by_uid(self, uid: str) -> Revision | None:
        """The owned revision with that UID."""
        return next((each for each in self.revisions if each.uid == uid), None)

    @property
    def old(self) -> tuple[Revision, ...]:
        """Every owned revision but the current one."""
        current = self.current
        return tuple(each for each in self.revisions if current is None or each.uid != current.uid)

    def owns(self, pod: Pod) -> bool:
        """True for a pod of this workload, whatever revision it is of; by the owner's UID."""
        owner = pod.controller_uid
        return owner == self.workload.uid or any(each.uid == owner for each in self.revisions)

    def revision_of(self, pod: Pod) -> Revision | None:
        """The revision that the pod was made from, as far as its owner and label tell; None for a stranger.

        A Deployment's pods are told by the ReplicaSet that owns them. Those of the other kinds are owned by
        the workload itself, and only a label says of which revision they are.
        """
        if pod.controller_uid != self.workload.uid:
            return self.by_uid(pod.controller_uid or "")
        named = pod.labels.get(self.workload.hash_label)
        return next((each for each in self.revisions if named and each.hash == named), None)


def parse_history(workload: Object, revisions: Iterable[Object], pods: Iterable[Object] = ()) -> History:
    """Keep the revisions that the workload controls by UID, in its controller's order.

    `pods` are needed where revisions don't count theirs: of every kind but Deployments.
    """
    view = parse_workload(workload)
    if view.kind == "Deployment":
        owned = [rs for rs in map(ReplicaSet, revisions) if rs.controller_uid == view.uid]
        # Source: Kubernetes pkg/controller/deployment/util FindNewReplicaSet: the oldest
        return History(view, tuple(sorted(owned, key=lambda rs: (rs.created_at, rs.name))))
    made = [each for each in map(ControllerRevision, revisions) if each.controller_uid == view.uid]
    made.sort(key=lambda each: (each.created_at, each.name))
    ready = Counter(
        pod.labels.get(view.hash_label)
        for pod in map(Pod, pods)
        if pod.controller_uid == view.uid and pod.ready and not (pod.terminal or pod.terminating)
    )
    counted = [
        # By their times or their numbers: a clock set back spoils the one, a revision brought back the other.
        ControllerRevision(each.raw, ready=ready[each.hash], older=max(older, _below(each, made)))
        for older, each in enumerate(made)
    ]
    # Source: Kubernetes pkg/controller/statefulset/stateful_set_control.go: the last of those that are equal
    return History(view, tuple(sorted(counted, key=lambda each: each.number or 0, reverse=True)))


def _below(revision: ControllerRevision, made: Iterable[ControllerRevision]) -> int:
    """How many have a lower number. With all below there, none of those was ever its own."""
    return sum((each.number or 0) < (revision.number or 0) for each in made)
