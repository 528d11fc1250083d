"""A simulated cluster as a process of its own, so that its work is not counted as the responder's.

Run by the bench: python -m responder.sandbox.bench.server PORT.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from responder.clock import Clock, SystemClock
from responder.sandbox.api.server import kubeconfig
from responder.sandbox.cluster import Cluster
from responder.sandbox.process import child_process
from responder.sandbox.world import free_port


@asynccontextmanager
async def sandbox_process(folder: Path, clock: Clock) -> AsyncIterator[Path]:
    """Run it and yield the path of its kubeconfig."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig(url, for_kubectl=True)), encoding="utf-8")
    async with child_process(
        [sys.executable, "-m", "responder.sandbox.bench.server", str(port)],
        name="the sandbox",
        ready_url=f"{url}/readyz",
        log=folder / "sandbox.log",
        clock=clock,
        cwd=Path.cwd(),
    ):
        yield path


async def _serve(port: int) -> None:
    async with Cluster.start(clock=SystemClock(), port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
