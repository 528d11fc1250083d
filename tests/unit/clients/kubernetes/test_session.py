"""Where requests are sent: to the server that the kubeconfig names, or to the proxy before it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from aiohttp import web

from responder.clients.kubernetes import connect

Serving = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], AbstractAsyncContextManager[str]]
SERVER = "http://cluster.example:6443"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def ask(kubeconfig: Path) -> None:
    kubernetes = await connect(kubeconfig)
    try:
        await kubernetes.get("/version")
    finally:
        await kubernetes.close()


@pytest.mark.parametrize("named_by", ["environment", "kubeconfig"])
async def test_a_proxy_is_gone_through(
    serving: Serving, kubeconfig: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    asked: list[tuple[str, str]] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        asked.append((str(request.url), request.headers.get("Proxy-Authorization", "")))
        return web.json_response({})

    async with serving(respond) as url:
        proxy, path = url.replace("http://", "http://user:secret@"), kubeconfig(SERVER)
        if named_by == "environment":
            monkeypatch.setenv("http_proxy", proxy)
        else:
            content = json.loads(path.read_text())
            content["clusters"][0]["cluster"]["proxy-url"] = proxy
            path.write_text(json.dumps(content))
        await ask(path)
    assert asked == [(f"{SERVER}/version", "Basic dXNlcjpzZWNyZXQ=")]


async def test_no_proxy_is_gone_through_to_hosts_that_need_none(
    serving: Serving, kubeconfig: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers["Authorization"])
        return web.json_response({})

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with serving(respond) as url:
        await ask(kubeconfig(url))
    assert len(asked) == 1
