"""kubectl as a contestant: as a process of its own, and run by a webhook."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from responder.clock import Clock
from responder.sandbox.bench.api import BenchError
from responder.sandbox.bench.workloads import NAME, Workload
from responder.sandbox.process import child_process
from responder.sandbox.world import free_port


def find_kubectl() -> str | None:
    """The kubectl beside this Python, else the one on the PATH, if any."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.is_file() else shutil.which("kubectl")


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl that acts on the bench's cluster, with a cache of its own."""

    path: str
    environment: Mapping[str, str]

    async def undo(self, workload: Workload) -> None:
        """Run `kubectl rollout undo`. Raises BenchError when it fails."""
        process = await asyncio.create_subprocess_exec(
            *(self.path, "rollout", "undo", f"deployment/{NAME}", "--namespace", workload.namespace),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self.environment),
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise BenchError(f"bench: kubectl rollout undo failed: {output.decode()[-500:]}")

    @asynccontextmanager
    async def webhook(self, folder: Path, clock: Clock) -> AsyncIterator[str]:
        """Run the webhook that runs kubectl, and yield its address."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        async with child_process(
            [sys.executable, "-m", "responder.sandbox.bench.kubectl_webhook", str(port), self.path],
            name="the webhook that runs kubectl",
            ready_url=f"{url}/ready",
            log=folder / "kubectl-webhook.log",
            clock=clock,
            cwd=Path.cwd(),
            environment=self.environment,
        ):
            yield url


def kubectl_for(kubeconfig: Path, folder: Path) -> Kubectl | None:
    """kubectl on that kubeconfig; None where there is none on this machine."""
    path = find_kubectl()
    if path is None:
        return None
    home = {"HOME": str(folder.resolve()), "KUBECONFIG": str(kubeconfig.resolve())}
    return Kubectl(path, {**os.environ, **home})


async def post_to_webhook(session: aiohttp.ClientSession, url: str, workload: Workload) -> None:
    """Deliver an alert to the webhook that runs kubectl."""
    query = {"namespace": workload.namespace, "deployment": NAME}
    async with session.post(url, params=query, json={"alerts": []}, raise_for_status=True) as response:
        await response.read()
