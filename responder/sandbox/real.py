"""The real Prometheus and Alertmanager as child processes on loopback, for as long as a block runs.

Their own processes, so they live on the machine's time: not for the virtual-time loop. Called by the demo and
by tests/real.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from responder.clock import Clock, SystemClock
from responder.errors import ResponderError
from responder.sandbox.binaries import require_binary

_READY_WITHIN_SECONDS = 30
_READY_POLL_SECONDS = 0.05
_END_WITHIN_SECONDS = 5
_LOG_TAIL_CHARACTERS = 2_000


class ProcessError(ResponderError):
    """A real process ended, or did not become ready; the message carries the end of its log."""


@asynccontextmanager
async def real_prometheus(
    config: Mapping[str, Any] | Path, directory: Path, *, clock: Clock | None = None
) -> AsyncIterator[str]:
    """Run Prometheus and yield its address once it is ready.

    `directory` takes its data and its log, and the configuration where it is given as a mapping, whose paths
    are then relative to that directory. Raises BinaryMissing, or ProcessError with the end of the log.
    """
    url, listen = _pick_address()
    arguments = [
        str(require_binary("prometheus")),
        f"--config.file={_write_config(config, directory, 'prometheus.yml')}",
        f"--storage.tsdb.path={_absolute(directory / 'prometheus-data')}",
        f"--web.listen-address={listen}",
        f"--web.external-url={url}",
        "--web.enable-lifecycle",
        # By default new pods wait up to five seconds more before they are scraped.
        "--scrape.discovery-reload-interval=1s",
        "--log.level=info",
    ]
    async with _running(arguments, url, directory / "prometheus.log", clock or SystemClock()):
        yield url


@asynccontextmanager
async def real_alertmanager(
    config: Mapping[str, Any] | Path, directory: Path, *, clock: Clock | None = None
) -> AsyncIterator[str]:
    """Run a single Alertmanager and yield its address once it is ready; all else as for real_prometheus."""
    url, listen = _pick_address()
    arguments = [
        str(require_binary("alertmanager")),
        f"--config.file={_write_config(config, directory, 'alertmanager.yml')}",
        f"--storage.path={_absolute(directory / 'alertmanager-data')}",
        f"--web.listen-address={listen}",
        f"--web.external-url={url}",
        # Empty: no cluster, so no second port.
        "--cluster.listen-address=",
        "--log.level=debug",
    ]
    async with _running(arguments, url, directory / "alertmanager.log", clock or SystemClock()):
        yield url


def _pick_address() -> tuple[str, str]:
    """A free port of the loopback interface; neither program can tell which port it was given for 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    return f"http://{listen}", listen


def _absolute(path: Path) -> Path:
    """The processes run in a folder of their own, where a relative path would mean another file."""
    return path.resolve()


def _write_config(config: Mapping[str, Any] | Path, directory: Path, name: str) -> Path:
    if isinstance(config, Path):
        return _absolute(config)
    path = directory / name
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    return _absolute(path)


@asynccontextmanager
async def _running(arguments: Sequence[str], url: str, log: Path, clock: Clock) -> AsyncIterator[None]:
    """Start the process, wait until it is ready, and end it whatever happens in the block."""
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the terminal reaches us, and we end it in order.
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Fetched binaries look for their templates and pages below this folder (see .ci/fetch-binaries).
            cwd=Path(arguments[0]).parents[2],
            start_new_session=True,
        )
    try:
        await _wait_until_ready(process, f"{url}/-/ready", log, clock)
        yield
    finally:
        await _end(process)


async def _wait_until_ready(process: Process, ready_url: str, log: Path, clock: Clock) -> None:
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with (
            asyncio.timeout(_READY_WITHIN_SECONDS),
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            while not await _is_ready(session, ready_url):
                if process.returncode is not None:
                    raise ProcessError(
                        f"it ended with {process.returncode} before it was ready: {_tail(log)}"
                    )
                await clock.sleep(_READY_POLL_SECONDS)
    except TimeoutError:
        raise ProcessError(
            f"{ready_url} was not ready within {_READY_WITHIN_SECONDS} s: {_tail(log)}"
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


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text[-_LOG_TAIL_CHARACTERS:] or "its log is empty"
