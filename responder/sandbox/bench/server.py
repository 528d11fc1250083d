"""A simulated cluster as a process of its own, so that its work is not counted as the responder's.

Run by the bench: python -m responder.sandbox.bench.server PORT [--still].
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from responder.clock import Clock, SystemClock
from responder.sandbox.api.server import ApiServer, kubeconfig
from responder.sandbox.api.store import Store
from responder.sandbox.cluster import Cluster
from responder.sandbox.process import child_process
from responder.sandbox.world import free_port

_STILL = "--still"
# Collections of the middle generation until one of the oldest.
_NEVER = 1_000_000


@asynccontextmanager
async def sandbox_process(folder: Path, clock: Clock, *, still: bool = False) -> AsyncIterator[Path]:
    """Run it and yield the path of its kubeconfig. `still`: without controllers, nothing moves by itself."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig(url, for_kubectl=True)), encoding="utf-8")
    async with child_process(
        [sys.executable, "-m", "responder.sandbox.bench.server", str(port), *([_STILL] if still else [])],
        name="the sandbox",
        ready_url=f"{url}/readyz",
        log=folder / "sandbox.log",
        clock=clock,
        cwd=Path.cwd(),
    ):
        yield path


async def _serve(port: int, *, still: bool) -> None:
    # To look for garbage among all that is stored would stop it for up to a second; no real server stops so.
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    clock = SystemClock()
    cluster = ApiServer(Store(clock)).listening(port=port) if still else Cluster.start(clock=clock, port=port)
    async with cluster:
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), still=_STILL in sys.argv[2:]))
