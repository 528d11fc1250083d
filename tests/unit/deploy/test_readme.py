"""What the README says of settings and of deploying is so."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache

import typer.main

from responder.cli.main import cli
from responder.rules.quantities import format_duration
from responder.settings import Settings, variable_of, variables_of
from tests.shared import CHECKOUT


@cache
def section() -> str:
    """The README's section on running in a cluster."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## Point it at a real cluster\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def flags() -> set[str]:
    """The variables of the settings that `responder serve` has flags for."""
    command = typer.main.get_command(cli).get_command(None, "serve")  # type: ignore[attr-defined]
    names = {variable_of(parameter.name) for parameter in command.params}
    return {field for field in Settings.model_fields if names & set(variables_of(field))}


def shown(default: object) -> str:
    """A default as it would be written into the variable."""
    match default:
        case bool():
            return str(default).lower()
        case timedelta():
            return format_duration(default)
        case tuple():
            return ",".join(default)
        case _:
            return str(default or "")


def test_the_table_has_every_setting_without_a_flag_and_its_default() -> None:
    fields = Settings.model_fields.keys() - flags()
    rows = re.findall(r"^\| `(RESPONDER_\w+)` \|([^|]*)\|", section(), re.MULTILINE)
    told = {variable: default.strip(" `") for variable, default in rows}
    expected = {}
    for field in fields - {name for name in fields if name.endswith("_file")}:
        info = Settings.model_fields[field]
        if info.default_factory is not None:
            # Told in words, as it is another one each time.
            assert told.pop(variable_of(field))
            continue
        expected[variable_of(field)] = "required" if info.is_required() else shown(info.default)
    assert told == expected


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"\]\(([\w./-]+)\)|(?<=-[fk] )(deploy/[\w./-]+)", section()))
    paths = {path for pair in named for path in pair if path}
    assert len(paths) > 6
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []


def test_the_slack_manifest_asks_for_the_scopes_that_are_told() -> None:
    manifest = (CHECKOUT / "deploy" / "slack-app.yaml").read_text(encoding="utf-8")
    scopes = set(re.findall(r"^ +- (\w+:\w+)$", manifest, re.MULTILINE))
    assert scopes == set(re.findall(r"`(\w+:(?:read|write|history))`", section()))
