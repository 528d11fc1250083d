"""Where alerts come from is found out and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.errors import ResponderError
from responder.sandbox.binaries import BinaryMissing
from responder.sandbox.demo.run import announce
from responder.sandbox.demo.source import AlertSource, find_source
from responder.sandbox.demo.stories import STORIES, select_stories


def test_without_the_real_programs_the_built_in_ones_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    source = find_source(require_real=False, folder=tmp_path)
    assert source == AlertSource(real=False)
    assert "`make binaries` fetches them" in announce(source)
    assert "the sandbox's built-in ones" in announce(source)


def test_without_the_real_programs_requiring_them_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinaryMissing, match="make binaries"):
        find_source(require_real=True, folder=tmp_path)


def test_one_of_the_two_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _program(tmp_path / "prometheus", "prometheus, version 2.42.0+ds (branch: x)")
    assert not find_source(require_real=False, folder=tmp_path).real


def test_the_real_programs_are_named_with_their_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _program(tmp_path / "prometheus", "prometheus, version 2.42.0+ds (branch: x)")
    _program(tmp_path / "prometheus-alertmanager", "alertmanager, version 0.25.0 (branch: y)")
    source = find_source(require_real=True, folder=tmp_path)
    assert source == AlertSource(real=True, versions={"prometheus": "2.42.0+ds", "alertmanager": "0.25.0"})
    assert announce(source) == "Alerts come from Prometheus 2.42.0+ds and Alertmanager 0.25.0."


def _program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_stories_are_selected_by_name_in_the_order_given() -> None:
    assert select_stories(()) == tuple(STORIES.values())
    assert [story.name for story in select_stories(("slow", "error-rate", "slow"))] == ["slow", "error-rate"]
    with pytest.raises(ResponderError, match="no story fast: the stories are error-rate, slow, very-slow"):
        select_stories(("fast",))
