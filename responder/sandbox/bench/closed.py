"""Starting where thousands of incidents have closed: what is finished must not be read.

They lie on an API server without controllers, as the responder leaves them: closed, unmarked, dated.
"""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

from responder.clock import Clock
from responder.sandbox.api.objects import Object
from responder.sandbox.bench.api import MERGE_PATCH, Api, open_api
from responder.sandbox.bench.figures import Figure
from responder.sandbox.bench.ground import define
from responder.sandbox.bench.prometheus import fixed_prometheus
from responder.sandbox.bench.responder import running_responder
from responder.sandbox.bench.server import sandbox_process
from responder.sandbox.bench.still import (
    StillWorkload,
    create_still,
    each_of,
    still_workloads,
    write_still_rules,
)

_STARTS = 3
_WORKLOADS = 10
_SPREAD = timedelta(days=25)


async def measure_closed(folder: Path, clock: Clock, incidents: int) -> list[Figure]:
    """Start it some times among so many closed incidents."""
    workloads = still_workloads("closed", _WORKLOADS)
    rules = write_still_rules(workloads, folder / "rules")
    loop, starts = asyncio.get_running_loop(), []
    async with AsyncExitStack() as stack:
        kubeconfig = await stack.enter_async_context(sandbox_process(folder, clock, still=True))
        api = await stack.enter_async_context(open_api(kubeconfig))
        await define(api, clock)
        await create_still(api, workloads)
        await _close(api, workloads, incidents, clock.now())
        prometheus = await stack.enter_async_context(fixed_prometheus())
        for _ in range(_STARTS):
            started = loop.time()
            async with running_responder(kubeconfig, rules, prometheus.url, folder, clock) as responder:
                starts.append(loop.time() - started)
                memory = responder.most_resident_megabytes()
    name = f"with {incidents} closed incidents"
    return [
        Figure(f"start to ready {name}, slowest of {_STARTS}", max(starts), "s", 3),
        Figure(f"start to ready {name}, median of {_STARTS}", statistics.median(starts), "s"),
        Figure(f"most resident memory until ready {name}", memory, "MB"),
    ]


async def _close(api: Api, workloads: list[StillWorkload], count: int, now: datetime) -> None:
    """Leave so many closed incidents behind, spread over the workloads and over weeks."""

    async def one(number: int) -> None:
        workload = workloads[number % len(workloads)]
        closed_at = now - _SPREAD * number / count
        path = f"/apis/responder.dev/v1alpha1/namespaces/{workload.namespace}/incidents"
        incident = _incident(workload, number, closed_at)
        await api.request("POST", path, incident)
        status = {
            "phase": "Closed",
            "outcome": "Recovered",
            "times": {"closedAt": closed_at.isoformat()},
        }
        name = incident["metadata"]["name"]
        await api.request("PATCH", f"{path}/{name}/status", {"status": status}, content_type=MERGE_PATCH)

    await each_of(range(count), one)


def _incident(workload: StillWorkload, number: int, closed_at: datetime) -> Object:
    alerts = {
        alert["fingerprint"]: {
            "labels": alert["labels"],
            "annotations": alert["annotations"],
            "startsAt": closed_at.isoformat(),
            "endsAt": closed_at.isoformat(),
        }
        for alert in workload.alerts(closed_at)[:1]
    }
    return {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "Incident",
        "metadata": {
            "name": f"deployment-{workload.name}-{number}",
            "labels": {"responder.dev/closed-on": closed_at.date().isoformat()},
        },
        "spec": {
            "workload": {"kind": "Deployment", "name": workload.name},
            "sequence": number + 1,
            "receivedAt": closed_at.isoformat(),
            "alerts": alerts,
        },
    }
