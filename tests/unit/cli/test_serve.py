"""`responder --version` and `responder serve --help`: what an operator can find out without a cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from responder.cli.main import cli
from responder.settings import Settings, variable_of


def shown(*arguments: str) -> str:
    """What the command writes, without the frames and line ends that a terminal's width puts in."""
    done = CliRunner().invoke(cli, arguments, env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 0, done.output
    return " ".join(re.sub("[│╭╮╰╯─]", " ", done.output).split())


def flags() -> set[str]:
    return set(re.findall(r"--([a-z][a-z-]+)", shown("serve", "--help"))) - {"help"}


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"responder \d+\.\d+\.\d+", shown("--version"))


@pytest.mark.parametrize(
    "said",
    [
        "(RESPONDER_LISTEN; default: 0.0.0.0:8080)",
        "(RESPONDER_PROMETHEUS_URL; required)",
        "(RESPONDER_ALERTMANAGER_URLS)",
        "the rule file, or the folder of rule files (RESPONDER_RULES; default: rules)",
        "Required are --prometheus-url, and RESPONDER_WEBHOOK_TOKEN or RESPONDER_WEBHOOK_TOKEN_FILE.",
    ],
)
def test_the_help_says_what_is_required_and_what_is_left_to_defaults(said: str) -> None:
    assert said in shown("serve", "--help")


def test_no_secret_is_a_flag() -> None:
    named = {variable_of(flag.replace("-", "_")) for flag in flags()}
    secrets = {
        variable_of(name)
        for name, field in Settings.model_fields.items()
        if "Secret" in str(field.annotation)
    }
    assert secrets
    assert not named & secrets


def test_rules_that_are_not_there_are_told_with_what_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESPONDER_WEBHOOK_TOKEN", "hunter2")
    arguments = ("serve", "--prometheus-url", "http://127.0.0.1:1", "--rules", str(tmp_path / "nowhere"))
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 1
    assert str(done.exception) == (
        f"{tmp_path}/nowhere: does not exist; name a rule file, or a folder of them, with --rules or"
        " RESPONDER_RULES"
    )


def test_flags_that_take_no_value_show_none() -> None:
    for command in ("demo", "explain", "freeze", "incidents", "rules render"):
        # The one that is left is --help's own.
        assert shown(*command.split(), "--help").count("<bool>") == 1, command
