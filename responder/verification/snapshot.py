"""One look at a Deployment and all that decides where its traffic goes. Reads, judges nothing.

Taken by the traffic proof; the assessment works on the Snapshot alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from responder.clients.kubernetes import Kubernetes, NotFound, ObjectList, paths
from responder.workloads.history import History, parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.views import Deployment, EndpointSlice, Object, Pod, ReplicaSet, Service


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The Deployment, read before and after all ReplicaSets, Pods, Services and slices of its namespace."""

    before: Deployment
    after: Deployment
    replicasets: tuple[ReplicaSet, ...]
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    slices: tuple[EndpointSlice, ...]

    @property
    def deployment(self) -> Deployment:
        """The Deployment as last read."""
        return self.after

    @property
    def settled(self) -> bool:
        """True when the Deployment stood still during the look, its status included."""
        return self.before.resource_version == self.after.resource_version

    @property
    def history(self) -> History:
        """The Deployment with the ReplicaSets it owns, by UID."""
        return parse_history(self.after.raw, (rs.raw for rs in self.replicasets))

    def live_pods(self, owner_uids: frozenset[str]) -> tuple[Pod, ...]:
        """The pods those ReplicaSets control, terminating ones included, without those that have ended."""
        return tuple(pod for pod in self.pods if pod.controller_uid in owner_uids and not pod.terminal)


async def gather_snapshot(kubernetes: Kubernetes, key: WorkloadKey) -> Snapshot | None:
    """Read it all afresh; None when there is no such Deployment. Raises ApiError.

    The Deployment is read first and last: what lies between belongs together only if it did not change.
    """
    before = await _get_deployment(kubernetes, key)
    if before is None:
        return None
    collections = (paths.replicasets, paths.pods, paths.services, paths.endpointslices)
    # No TaskGroup: on Python 3.11, a failure that it meets while it ends leaves its request to cancel us
    # standing (CPython issue 116720), and the caller's timeouts then end in a CancelledError.
    answers = await asyncio.gather(
        *(kubernetes.list(collection(key.namespace)) for collection in collections), return_exceptions=True
    )
    replicasets, pods, services, slices = (_items(answer) for answer in answers)
    after = await _get_deployment(kubernetes, key)
    if after is None:
        return None
    return Snapshot(
        before=before,
        after=after,
        replicasets=tuple(map(ReplicaSet, replicasets)),
        pods=tuple(map(Pod, pods)),
        services=tuple(map(Service, services)),
        slices=tuple(map(EndpointSlice, slices)),
    )


async def _get_deployment(kubernetes: Kubernetes, key: WorkloadKey) -> Deployment | None:
    try:
        return Deployment(await kubernetes.get(paths.deployment(key.namespace, key.name)))
    except NotFound as error:
        if error.resource_missing:
            raise
        return None


def _items(answer: ObjectList | BaseException) -> list[Object]:
    if isinstance(answer, BaseException):
        raise answer
    return answer.items
