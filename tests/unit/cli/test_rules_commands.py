"""`responder rules`: mistakes at their place with exit code 1, a table, JSON, and files that are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from responder.cli.main import cli
from responder.errors import ResponderError
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
    assert lines[0].split() == ["rule", "mode", "if", "for", "action", "notify", "on_expiry"]
    assert any("error_rate > 1%" in line and "rollback" in line for line in lines)
    assert [line.split()[-1] for line in lines if "error_rate >" in line or "latency_p95 >" in line] == [
        "page",
        "-",
        "page",
    ]
    assert lines[-1] == "No mistakes in 1 file."
    assert not any("always pages" in line for line in lines)


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    """A valid file whose rule can only ever page, though it does not name PagerDuty."""
    path = tmp_path / "payment-service.yaml"
    right = WRONG.replace("1s", "1%").replace("rolback", "rollback")
    path.write_text(right.replace("deployment:", "daemonset:"))
    return path


def test_warnings_are_printed_and_all_is_well(doubtful: Path) -> None:
    done = run("check", str(doubtful))
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[-3] == "A question to a person always pages, also where notify does not name pagerduty."
    assert lines[-2].startswith(f"{doubtful}:16:13: warning: action: a DaemonSet is never rolled back")
    assert lines[-1] == "No mistakes in 1 file, 1 warning."


def test_a_file_that_only_observes_says_so(tmp_path: Path) -> None:
    path = tmp_path / "payment-service.yaml"
    path.write_text("mode: observe\n" + WRONG.replace("1s", "1%").replace("rolback", "rollback"))
    assert run("check", str(path)).stdout.splitlines()[1].split()[1] == "observe"
    assert json.loads(run("check", str(path), "-o", "json").stdout)["rules"][0]["mode"] == "observe"


def test_warnings_for_machines(doubtful: Path) -> None:
    done = run("check", str(doubtful), "-o", "json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["valid"], found["errors"]) == (True, [])
    (warning,) = found["warnings"]
    assert (warning["file"], warning["line"], warning["column"]) == (str(doubtful), 16, 13)
    assert warning["message"].startswith("action: a DaemonSet")


def test_every_mistake_is_a_line_with_its_place(wrong: Path) -> None:
    done = run("check", str(wrong.parent))
    assert done.exit_code == 1
    places = [line.split(": ", 1)[0] for line in done.stdout.splitlines()]
    assert places == [f"{wrong}:13:22", f"{wrong}:16:13"]
    assert "did you mean rollback?" in done.stdout


def test_for_machines(wrong: Path) -> None:
    bad = json.loads(run("check", str(wrong), "-o", "json").stdout)
    assert bad["valid"] is False
    assert bad["warnings"] == []
    assert [(each["line"], each["column"]) for each in bad["errors"]] == [(13, 22), (16, 13)]
    good = json.loads(run("check", str(CHECKOUT / "rules"), "-o", "json").stdout)
    assert good["valid"] is True
    assert [each["action"] for each in good["rules"]] == ["rollback", "none", "ask"]
    assert [each["on_expiry"] for each in good["rules"]] == ["page", None, "page"]


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


def test_rendering_prints_the_mistakes_as_checking_does(wrong: Path, tmp_path: Path) -> None:
    done = run("render", str(wrong), "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert done.stdout == run("check", str(wrong)).stdout


def test_rendering_over_the_users_own_file(tmp_path: Path) -> None:
    own = tmp_path / "alertmanager" / "alertmanager.yml"
    own.parent.mkdir()
    own.write_text("route: {receiver: me}\n")
    done = run("render", str(CHECKOUT / "rules"), "--out", str(tmp_path))
    assert isinstance(done.exception, ResponderError)
    assert own.read_text() == "route: {receiver: me}\n"
    assert run("render", str(CHECKOUT / "rules"), "--out", str(tmp_path), "--force").exit_code == 0


def test_rendering_into_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    done = run("render", str(CHECKOUT / "rules"), "--out", str(tmp_path / "out"))
    assert isinstance(done.exception, ResponderError)
    assert len(str(done.exception).splitlines()) == 1


def test_what_an_earlier_rendering_left_is_named(tmp_path: Path) -> None:
    run("render", str(CHECKOUT / "rules"), "--out", str(tmp_path))
    left = tmp_path / "prometheus" / "rules" / "gone.yml"
    left.write_text((tmp_path / "prometheus" / "rules" / "payment-service.yml").read_text())
    done = run("render", str(CHECKOUT / "rules"), "--out", str(tmp_path))
    assert done.exit_code == 0
    assert (
        done.stderr
        == f"{left}: written by an earlier render, not by this one: remove it if no rule file asks for it\n"
    )
    assert str(left) not in done.stdout


def test_an_unknown_story_is_an_error_that_names_the_stories() -> None:
    done = CliRunner().invoke(cli, ["demo", "--story", "fast"])
    assert done.exit_code == 1
    assert str(done.exception).startswith("there is no story fast: the stories are error-rate, slow,")
