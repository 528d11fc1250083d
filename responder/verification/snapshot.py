"""One look at a workload and all that decides where its traffic goes. Reads, judges nothing.

Taken by the traffic proof; the assessment works on the Snapshot alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from responder.clients.kubernetes import Kubernetes, NotFound, ObjectList, paths
from responder.workloads.history import History, parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.views import EndpointSlice, Object, Pod, Service
from responder.workloads.workload import Workload, parse_workload


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The workload, read before and after its revisions and all Pods, Services and slices of its namespace.

    `history` holds it as last read.
    """

    before: Workload
    history: History
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    slices: tuple[EndpointSlice, ...]

    @property
    def workload(self) -> Workload:
        """The workload as last read."""
        return self.history.workload

    @property
    def settled(self) -> bool:
        """True when the workload stood still during the look, its status included."""
        return self.before.resource_version == self.workload.resource_version

    @property
    def owned_pods(self) -> tuple[Pod, ...]:
        """The workload's pods, terminating ones included, without those that have ended."""
        return tuple(pod for pod in self.pods if self.history.owns(pod) and not pod.terminal)

    def pods_of(self, uid: str) -> tuple[Pod, ...]:
        """Those of them that were made from the revision with that UID."""
        return tuple(pod for pod in self.owned_pods if self._made_from(pod) == uid)

    def pods_beside(self, uid: str) -> tuple[Pod, ...]:
        """Those of them that were made from another one, or from none that history holds."""
        return tuple(pod for pod in self.owned_pods if self._made_from(pod) != uid)

    def _made_from(self, pod: Pod) -> str | None:
        revision = self.history.revision_of(pod)
        return None if revision is None else revision.uid


async def gather_snapshot(kubernetes: Kubernetes, key: WorkloadKey) -> Snapshot | None:
    """Read it all afresh; None when there is no such workload. Raises ApiError.

    The workload is read first and last: what lies between belongs together only if it did not change.
    """
    before = await _get_workload(kubernetes, key)
    if before is None:
        return None
    collections = (
        paths.revisions(key.kind, key.namespace),
        *(each(key.namespace) for each in (paths.pods, paths.services, paths.endpointslices)),
    )
    # No TaskGroup: on Python 3.11, a failure that it meets while it ends leaves its request to cancel us
    # standing (CPython issue 116720), and the caller's timeouts then end in a CancelledError.
    answers = await asyncio.gather(
        *(kubernetes.list(collection) for collection in collections), return_exceptions=True
    )
    revisions, pods, services, slices = (_items(answer) for answer in answers)
    after = await _get_workload(kubernetes, key)
    if after is None:
        return None
    return Snapshot(
        before=parse_workload(before),
        history=parse_history(after, revisions, pods),
        pods=tuple(map(Pod, pods)),
        services=tuple(map(Service, services)),
        slices=tuple(map(EndpointSlice, slices)),
    )


async def _get_workload(kubernetes: Kubernetes, key: WorkloadKey) -> Object | None:
    try:
        return await kubernetes.get(paths.workload(key.kind, key.namespace, key.name))
    except NotFound as error:
        if error.resource_missing:
            raise
        return None


def _items(answer: ObjectList | BaseException) -> list[Object]:
    if isinstance(answer, BaseException):
        raise answer
    return answer.items
