"""`responder rules`: mistakes at their place with exit code 1, a table, JSON, and files that are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from responder.cli.main import cli
from tests.shared import CHECKOUT

WRONG = """apiVersion: responder.dev/v1alpha1
kind: RuleFile
service: payment-service
workload: {namespace: payments, deployment: payment-service}
metrics:
  error_rate:
    unit: ratio
    range: 5m
    query: sum(rate(errors{$selector}[$range]))
    samples: sum(increase(requests{$selector}[$range]))
alerts:
  high-error-rate:
    if: error_rate > 1s
    for: 5m
    severity: critical
    action: rolback
    notify: [slack]
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["rules", *arguments])


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "payment-service.yaml"
    path.write_text(WRONG)
    return path


def test_right_files_are_a_table() -> None:
    done = run("check", str(CHECKOUT / "rules"))
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["rule", "if", "for", "action", "notify"]
    assert any("error_rate > 1%" in line and "rollback" in line for line in lines)
    assert lines[-1] == "No mistakes in 1 file."


def test_every_mistake_is_a_line_with_its_place(wrong: Path) -> None:
    done = run("check", str(wrong.parent))
    assert done.exit_code == 1
    places = [line.split(": ", 1)[0] for line in done.stdout.splitlines()]
    assert places == [f"{wrong}:13:22", f"{wrong}:16:13"]
    assert "did you mean rollback?" in done.stdout


def test_for_machines(wrong: Path) -> None:
    bad = json.loads(run("check", str(wrong), "-o", "json").stdout)
    assert bad["valid"] is False
    assert [(each["line"], each["column"]) for each in bad["errors"]] == [(13, 22), (16, 13)]
    good = json.loads(run("check", str(CHECKOUT / "rules"), "-o", "json").stdout)
    assert good["valid"] is True
    assert [each["action"] for each in good["rules"]] == ["rollback", "none", "ask"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = run("check", str(tmp_path / "absent"))
    assert done.exit_code == 1
    assert "can't be read" in done.stdout


def test_rendering_writes_what_is_committed(tmp_path: Path) -> None:
    done = run("render", str(CHECKOUT / "rules"), "--out", str(tmp_path))
    assert done.exit_code == 0
    for name in ("prometheus/rules/payment-service.yml", "alertmanager/alertmanager.yml"):
        assert str(tmp_path / name) in done.stdout
        assert (tmp_path / name).read_text() == (CHECKOUT / name).read_text()


def test_an_unknown_story_is_an_error_that_names_the_stories() -> None:
    done = CliRunner().invoke(cli, ["demo", "--story", "fast"])
    assert done.exit_code == 1
    assert str(done.exception) == "there is no story fast: the stories are error-rate, slow, very-slow"
