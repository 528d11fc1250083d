"""Which cluster is meant must be said: nothing is taken from a home directory, nothing is guessed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from responder.clients.kubernetes import connect
from responder.clients.kubernetes.connection import NoCluster


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
    with pytest.raises(NoCluster, match="give --kubeconfig or RESPONDER_KUBECONFIG"):
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


def test_of_several_kubeconfigs_the_missing_ones_are_passed_over(kubeconfig: Callable[[str], Path]) -> None:
    async def main() -> None:
        api = await connect(Path(f"/nowhere/config:{kubeconfig('http://127.0.0.1:1')}"), "this")
        await api.close()

    asyncio.run(main())
