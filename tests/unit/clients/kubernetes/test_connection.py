"""Which cluster is meant must be said: nothing is taken from a home directory, nothing is guessed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from aiohttp import web

from responder.clients.kubernetes import Unauthorized, connect
from responder.clients.kubernetes.connection import NoCluster

Serving = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], AbstractAsyncContextManager[str]]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_a_kubeconfig_at_home_is_not_taken_unasked(
    outside: None, kubeconfig: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig("http://127.0.0.1:1").rename(tmp_path / ".kube" / "config")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoCluster, match=r"add --kubeconfig FILE.*or set KUBECONFIG.*, and this is not one$"):
        asyncio.run(connect(None))


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "kind: Config", "current-context: this\ncontexts: []", "\x00"]
)
def test_a_kubeconfig_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken"
    path.write_text(content)
    with pytest.raises(NoCluster, match="broken can't be used"):
        asyncio.run(connect(path))


def test_a_missing_kubeconfig_and_an_unknown_context_are_named(kubeconfig: Callable[[str], Path]) -> None:
    with pytest.raises(NoCluster, match="/nowhere/config does not exist"):
        asyncio.run(connect(Path("/nowhere/config")))
    with pytest.raises(NoCluster, match="with context other"):
        asyncio.run(connect(kubeconfig("http://127.0.0.1:1"), "other"))


PLUGIN = """#!/bin/sh
# Gives one token after the other, each at its end already, and fails from the third on.
count=$(cat "$0.count" 2>/dev/null || echo 0)
count=$((count + 1))
echo $count > "$0.count"
test $count -lt 3 || { echo "no more" >&2; exit 1; }
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
  "status": {"token": "token-'$count'", "expirationTimestamp": "2026-01-01T00:00:00Z"}}'
"""


async def test_a_plugins_token_is_renewed_and_a_failure_to_do_so_told(
    serving: Serving, kubeconfig: Callable[[str], Path], tmp_path: Path
) -> None:
    tokens: list[str] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers["Authorization"])
        return web.json_response({})

    plugin = tmp_path / "plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    async with serving(respond) as url:
        path = kubeconfig(url)
        content = json.loads(path.read_text())
        content["users"][0]["user"] = {
            "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}
        }
        path.write_text(json.dumps(content))
        api = await connect(path)
        try:
            await api.get("/version")
            with pytest.raises(Unauthorized, match=r"the token can't be renewed: .*no more"):
                await api.get("/version")
        finally:
            await api.close()
    assert tokens == ["Bearer token-2"]


def test_of_several_kubeconfigs_the_missing_ones_are_passed_over(kubeconfig: Callable[[str], Path]) -> None:
    async def main() -> None:
        api = await connect(Path(f"/nowhere/config:{kubeconfig('http://127.0.0.1:1')}"), "this")
        await api.close()

    asyncio.run(main())
