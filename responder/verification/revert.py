"""Was the undo undone: does the workload carry the bad template again, and who put it there?

The undo is not fought over: whoever brings it back is told to people. Called by the traffic proof at each
look, and by the pipeline beside and after the proof of recovery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any, Protocol, TypeVar, cast

from responder.clients.kubernetes import Changed, Kubernetes, Listed, Observation, paths
from responder.tasks import together
from responder.verdicts import Verdict, failed
from responder.workloads.key import WorkloadKey
from responder.workloads.owners import (
    MANAGERS,
    REVERTED_BY_ANOTHER,
    REVERTED_BY_OWNER,
    find_owners,
    last_writer,
)
from responder.workloads.templates import Template, same_template
from responder.workloads.workload import Workload, parse_workload

T = TypeVar("T")


def find_revert(workload: Workload, bad: Template | None) -> Verdict | None:
    """The verdict on a workload that carries the bad template again; None on any other."""
    if bad is None or not same_template(workload.template, bad):
        return None
    writer = last_writer(workload.raw)
    manager = "somebody unknown" if writer is None else writer.manager
    owner = next((o for o in find_owners(workload.raw) if manager in MANAGERS[o.kind]), None)
    who = manager if owner is None else f"{manager} ({owner})"
    message = f"Reverted by {who}: {workload} has the bad template again, which is not fought."
    evidence = {"manager": manager, "at": None if writer is None else writer.at}
    reason = REVERTED_BY_ANOTHER if owner is None else REVERTED_BY_OWNER
    return failed("TemplateRestored", reason, message, **evidence)


async def unless_reverted(
    kubernetes: Kubernetes, key: WorkloadKey, bad: Template | None, work: Coroutine[Any, Any, T]
) -> T | Verdict:
    """What the work returns, or at once the verdict on a revert that comes before its end."""
    async with together() as group:
        watching = group.create_task(_watch(kubernetes, key, bad))
        working = group.create_task(work)
        await asyncio.wait((watching, working), return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        working.cancel()
    return watching.result() if working.cancelled() else working.result()


async def _watch(kubernetes: Kubernetes, key: WorkloadKey, bad: Template | None) -> Verdict:
    """The verdict on a revert, whenever it comes."""
    seen = kubernetes.list_watch(
        paths.workloads(key.kind, key.namespace), field_selector=f"metadata.name={key.name}"
    )
    async with aclosing(cast("_Closable", seen)):
        async for observation in seen:
            for workload in _workloads_in(observation):
                verdict = find_revert(workload, bad)
                if verdict is not None:
                    return verdict
    raise AssertionError("a watch never ends by itself")


def _workloads_in(observation: Observation) -> list[Workload]:
    match observation:
        case Listed():
            return list(map(parse_workload, observation.items))
        case Changed() if observation.type != "DELETED":
            return [parse_workload(observation.object)]
        case _:
            return []


class _Closable(Protocol):
    async def aclose(self) -> None: ...
