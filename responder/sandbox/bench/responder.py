"""The responder as an operator runs it: a process of its own, with what the kernel says of it.

Source: https://docs.kernel.org/scheduler/sched-stats.html for schedstat, proc(5) for VmRSS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import aiohttp

from responder.clock import Clock
from responder.sandbox.process import child_process
from responder.sandbox.world import free_port

_TOKEN = "bench-webhook-token"
# What is measured is work, not the wait for other workloads' alerts; and turn by turn they are no storm.
_SETTINGS = {
    "RESPONDER_WEBHOOK_TOKEN": _TOKEN,
    "RESPONDER_STORM_WAIT": "0s",
    "RESPONDER_STORM_WORKLOADS": "1000",
}
_NOT_INHERITED = ("RESPONDER_", "KUBECONFIG", "POD_NAMESPACE")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where Alertmanager delivers."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class RunningResponder:
    """A responder that is ready."""

    url: str
    pid: int

    @property
    def webhook(self) -> Webhook:
        """Where alerts go, and what lets them in."""
        return Webhook(f"{self.url}/webhooks/alertmanager", _TOKEN)

    async def deliver(self, session: aiohttp.ClientSession, delivery: dict[str, object]) -> None:
        """Post a delivery as Alertmanager does. Raises aiohttp.ClientResponseError when it is not taken."""
        async with session.post(
            self.webhook.url,
            json=delivery,
            headers={"Authorization": f"Bearer {self.webhook.token}"},
            raise_for_status=True,
        ) as response:
            await response.read()

    def cpu_seconds(self) -> float:
        """The processor time that it has used so far, by all of its threads."""
        used = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            used += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        return used / 1e9

    def resident_megabytes(self) -> float:
        """The memory that it holds now, in millions of bytes."""
        return self._megabytes("VmRSS")

    def most_resident_megabytes(self) -> float:
        """The most memory that it ever held, in millions of bytes."""
        return self._megabytes("VmHWM")

    def _megabytes(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024 / 1e6


@asynccontextmanager
async def running_responder(
    kubeconfig: Path,
    rules: Path,
    prometheus_url: str,
    folder: Path,
    clock: Clock,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[RunningResponder]:
    """Run one on a loopback port, without Slack and PagerDuty, until the context ends. Paths are absolute.

    `settings`: RESPONDER_ variables over those of every bench.
    """
    listen = f"127.0.0.1:{free_port()}"
    flags = {
        "--listen": listen,
        "--rules": str(rules),
        "--kubeconfig": str(kubeconfig),
        "--namespace": "default",
        "--prometheus-url": prometheus_url,
    }
    command = [sys.executable, "-m", "responder", "serve"]
    for flag, value in flags.items():
        command += [flag, value]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)}
    async with child_process(
        command,
        name="the responder",
        ready_url=f"http://{listen}/readyz",
        log=folder / "responder.log",
        clock=clock,
        cwd=Path.cwd(),
        environment=inherited | _SETTINGS | dict(settings),
    ) as child:
        yield RunningResponder(f"http://{listen}", child.process.pid)
