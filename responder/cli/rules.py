"""`responder rules`: checks rule files and renders Prometheus and Alertmanager configuration from them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from responder.rules.findings import RuleError
    from responder.rules.model import RuleSet

_Folder = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="A rule file, or the folder of rule files.", show_default=True)
]

rules_commands = typer.Typer(no_args_is_help=True, help="Check rule files, and render what they ask for.")


class Output(StrEnum):
    """How a result is printed."""

    TEXT = "text"
    JSON = "json"


@rules_commands.command()
def check(
    folder: _Folder = Path("rules"),
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for machines.")
    ] = Output.TEXT,
) -> None:
    """Check every rule file: prints each mistake as file:line:column and exits 1, or a table of the rules."""
    from responder.rules.findings import RuleErrors
    from responder.rules.load import load_rules

    try:
        rules = load_rules(folder)
    except RuleErrors as error:
        print(_errors_json(error.errors) if output is Output.JSON else error)
        raise typer.Exit(1) from None
    if output is Output.JSON:
        print(_to_json({"valid": True, "errors": [], "rules": _rows(rules)}))
    else:
        _print_table(rules)


@rules_commands.command()
def render(
    out: Annotated[Path, typer.Option(help="The folder that prometheus/ and alertmanager/ are written to.")],
    folder: _Folder = Path("rules"),
) -> None:
    """Write the Prometheus rules and the Alertmanager configuration that the rule files ask for."""
    from responder.rules.render import write_rendered

    for path in write_rendered(folder, out):
        print(path)


def _errors_json(errors: tuple[RuleError, ...]) -> str:
    found = [
        {"file": each.file, "line": each.line, "column": each.column, "message": each.message}
        for each in errors
    ]
    return _to_json({"valid": False, "errors": found, "rules": []})


def _rows(rules: RuleSet) -> list[dict[str, Any]]:
    from responder.rules.quantities import format_duration

    return [
        {
            "rule": rule.id,
            "workload": str(file.workload),
            "if": str(rule.condition),
            "for": format_duration(rule.for_),
            "severity": rule.severity,
            "action": rule.action.value,
            "notify": sorted(channel.value for channel in rule.notify),
            "at": str(rule.location),
        }
        for file in rules.files
        for rule in file.rules
    ]


def _print_table(rules: RuleSet) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("rule", "if", "for", "action", "notify"):
        table.add_column(title, overflow="fold")
    for row in _rows(rules):
        table.add_row(row["rule"], row["if"], row["for"], row["action"], ", ".join(row["notify"]))
    console = Console(highlight=False)
    console.print(table)
    count = len(rules.files)
    console.print(f"No mistakes in {count} {'file' if count == 1 else 'files'}.")


def _to_json(value: object) -> str:
    return json.dumps(value, indent=2)
