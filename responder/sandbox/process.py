"""A child process for as long as a block runs: started, waited for until it is ready, ended by its own id.

Knows nothing of what it runs. Called for the real Prometheus and Alertmanager, and for the demo's responder.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from responder.clock import Clock
from responder.errors import ResponderError

_READY_WITHIN_SECONDS = 30
_READY_POLL_SECONDS = 0.05
_END_WITHIN_SECONDS = 5
_LOG_TAIL_CHARACTERS = 2_000


class ProcessError(ResponderError):
    """A child process ended, or did not become ready; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running child process and its log."""

    process: Process
    name: str
    log: Path

    def check(self) -> None:
        """Raise ProcessError, with the end of the log, when it has ended."""
        if self.process.returncode is not None:
            raise ProcessError(f"{self.name} ended with {self.process.returncode}: {self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        return text[-_LOG_TAIL_CHARACTERS:] or "its log is empty"


@asynccontextmanager
async def child_process(
    arguments: Sequence[str],
    *,
    name: str,
    ready_url: str,
    log: Path,
    clock: Clock,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """Start the process, yield it once `ready_url` answers 200, and end it whatever happens in the block.

    `environment` None: this process's own. Raises ProcessError with the end of its log.
    """
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the terminal reaches us, and we end it in order.
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
    child = Child(process, name, log)
    try:
        await _wait_until_ready(child, ready_url, clock)
        yield child
    finally:
        await _end(process)


async def _wait_until_ready(child: Child, ready_url: str, clock: Clock) -> None:
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with (
            asyncio.timeout(_READY_WITHIN_SECONDS),
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            while not await _is_ready(session, ready_url):
                child.check()
                await clock.sleep(_READY_POLL_SECONDS)
    except TimeoutError:
        raise ProcessError(
            f"{child.name} was not ready at {ready_url} within {_READY_WITHIN_SECONDS} s: {child.tail()}"
        ) from None


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientConnectionError, TimeoutError):
        return False


async def _end(process: Process) -> None:
    """Ask the process to end, then make it."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_END_WITHIN_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
