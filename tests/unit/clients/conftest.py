"""A server on a free port, and a Kubernetes client that talks to it, both on the running loop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from responder.clients.kubernetes import Kubernetes, connect
from responder.sandbox.virtual_time import LoopClock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def _serve(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    # A handler that plays a silent server ends when the client hangs up.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
def serving() -> Callable[[Handler], AbstractAsyncContextManager[str]]:
    """Serve every path by one handler; yields the address."""
    return _serve


def write_kubeconfig(path: Path, server: str) -> Path:
    user = {"name": "someone", "user": {"token": "let-me-in"}}
    cluster = {"name": "here", "cluster": {"server": server}}
    context = {"name": "this", "context": {"cluster": "here", "user": "someone"}}
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "this",
                "contexts": [context],
                "clusters": [cluster],
                "users": [user],
            }
        )
    )
    return path


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[[str], Path]:
    """Write a kubeconfig for a server's address."""
    return lambda server: write_kubeconfig(tmp_path / "kubeconfig", server)


@pytest.fixture
def talking(
    kubeconfig: Callable[[str], Path],
) -> Callable[[Handler], AbstractAsyncContextManager[Kubernetes]]:
    """A client whose requests the handler answers, on virtual time."""

    @asynccontextmanager
    async def talk(handler: Handler) -> AsyncIterator[Kubernetes]:
        async with _serve(handler) as url:
            api = await connect(kubeconfig(url), clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC)))
            try:
                yield api
            finally:
                await api.close()

    return talk
