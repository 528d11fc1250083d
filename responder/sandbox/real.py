"""The real Prometheus and Alertmanager as child processes on loopback, for as long as a block runs.

Their own processes, so they live on the machine's time: not for the virtual-time loop. Called by the demo and
by tests/real.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from responder.clock import Clock, SystemClock
from responder.sandbox.binaries import require_binary
from responder.sandbox.process import Child, child_process


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


def _running(
    arguments: Sequence[str], url: str, log: Path, clock: Clock
) -> AbstractAsyncContextManager[Child]:
    return child_process(
        arguments,
        name=Path(arguments[0]).name,
        ready_url=f"{url}/-/ready",
        log=log,
        clock=clock,
        # Fetched binaries look for their templates and pages below this folder (see .ci/fetch-binaries).
        cwd=Path(arguments[0]).parents[2],
    )
