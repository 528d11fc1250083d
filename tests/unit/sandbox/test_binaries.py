"""Where the real binaries are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.sandbox.binaries import BINARIES, find_binary, missing_binaries


def _binary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_fetched_binary_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched, installed = tmp_path / "fetched", tmp_path / "installed"
    monkeypatch.setenv("PATH", str(installed))
    on_path = _binary(installed / "alertmanager")
    assert find_binary("alertmanager", fetched) == on_path

    ours = _binary(fetched / "prometheus-alertmanager")
    assert find_binary("alertmanager", fetched) == ours


def test_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert missing_binaries(tmp_path) == BINARIES
    _binary(tmp_path / "promtool")
    (tmp_path / "amtool").write_text("not executable")
    assert missing_binaries(tmp_path) == ("prometheus", "alertmanager", "amtool")
