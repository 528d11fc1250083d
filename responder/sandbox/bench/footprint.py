"""What a responder takes by merely being there: time to start, memory while idle."""

from __future__ import annotations

import asyncio
import statistics

from responder.sandbox.bench.figures import Figure
from responder.sandbox.bench.ground import Ground
from responder.sandbox.bench.responder import running_responder
from responder.sandbox.bench.workloads import Workload, create, write_rules

_STARTS = 5
_IDLE_SECONDS = 5.0


async def measure_footprint(ground: Ground) -> list[Figure]:
    """Start it some times on one rule file; the last one idles for a while."""
    workload = Workload(f"{ground.prefix}-idle")
    await create(ground.api, [workload], ground.clock)
    rules = write_rules([workload], ground.folder / "rules-idle")
    loop, starts = asyncio.get_running_loop(), []
    memory = 0.0
    for number in range(_STARTS):
        started = loop.time()
        async with running_responder(
            ground.kubeconfig, rules, ground.prometheus.url, ground.folder, ground.clock
        ) as responder:
            starts.append(loop.time() - started)
            if number == _STARTS - 1:
                await ground.clock.sleep(_IDLE_SECONDS)
                memory = responder.resident_megabytes()
    return [
        Figure(f"start to ready, median of {_STARTS}", statistics.median(starts), "s", 2),
        Figure("resident memory when idle", memory, "MB", 120),
    ]
