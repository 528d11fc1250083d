"""`responder rules`: checks rule files and renders Prometheus and Alertmanager configuration from them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from responder.cli.output import Output, OutputOption, show_table, to_json

if TYPE_CHECKING:
    from responder.rules.findings import RuleError, RuleErrors
    from responder.rules.model import RuleSet

_Folder = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="A rule file, or the folder of rule files.", show_default=True)
]

_TITLES = ("rule", "mode", "if", "for", "action", "notify", "on_expiry")

rules_commands = typer.Typer(no_args_is_help=True, help="Check rule files, and render what they ask for.")


@rules_commands.command()
def check(
    folder: _Folder = Path("rules"),
    output: OutputOption = Output.TEXT,
) -> None:
    """Check every rule file: prints each mistake as file:line:column and exits 1, or a table of the rules.

    What is allowed but hardly meant is a warning: it is printed as well, and the exit code stays 0.
    """
    from responder.rules.findings import RuleErrors
    from responder.rules.load import load_rules

    try:
        rules = load_rules(folder)
    except RuleErrors as error:
        if output is Output.JSON:
            print(to_json({"valid": False, "errors": _places(error.errors), "warnings": [], "rules": []}))
            raise typer.Exit(1) from None
        raise _refuse(error) from None
    warnings = [each for file in rules.files for each in file.warnings]
    if output is Output.JSON:
        found = {"valid": True, "errors": [], "warnings": _places(warnings), "rules": _rows(rules)}
        print(to_json(found))
    else:
        _print_table(rules)
        for warning in warnings:
            print(warning)
        print(_summary(len(rules.files), len(warnings)))


@rules_commands.command()
def render(
    out: Annotated[Path, typer.Option(help="The folder that prometheus/ and alertmanager/ are written to.")],
    folder: _Folder = Path("rules"),
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Overwrite files that something else wrote.")
    ] = False,
) -> None:
    """Write the Prometheus rules and the Alertmanager configuration that the rule files ask for."""
    from responder.rules.findings import RuleErrors
    from responder.rules.render import find_stale, write_rendered

    try:
        written = write_rendered(folder, out, force=force)
    except RuleErrors as error:
        raise _refuse(error) from None
    for path in written:
        print(path)
    for path in find_stale(out, written):
        print(
            f"{path}: written by an earlier render, not by this one: remove it if no rule file asks for it",
            file=sys.stderr,
        )


def _refuse(errors: RuleErrors) -> typer.Exit:
    """Print every mistake; the exit to raise."""
    print(errors)
    return typer.Exit(1)


def _places(found: Sequence[RuleError]) -> list[dict[str, Any]]:
    return [
        {"file": each.file, "line": each.line, "column": each.column, "message": each.message}
        for each in found
    ]


def _rows(rules: RuleSet) -> list[dict[str, Any]]:
    from responder.rules.quantities import format_duration

    return [
        {
            "rule": rule.id,
            "workload": str(file.workload),
            "mode": file.mode.value,
            "if": str(rule.condition),
            "for": format_duration(rule.for_),
            "severity": rule.severity,
            "action": rule.action.value,
            "notify": sorted(channel.value for channel in rule.notify),
            # Where the action is none nobody is asked, so that nothing expires.
            "on_expiry": None if rule.action.value == "none" else rule.on_expiry.value,
            "at": str(rule.location),
        }
        for file in rules.files
        for rule in file.rules
    ]


def _print_table(rules: RuleSet) -> None:
    show_table(
        _TITLES,
        (
            (*(row[key] for key in _TITLES[:5]), ", ".join(row["notify"]), row["on_expiry"] or "")
            for row in _rows(rules)
        ),
    )
    if any(row["on_expiry"] and "pagerduty" not in row["notify"] for row in _rows(rules)):
        print("A question to a person always pages, also where notify does not name pagerduty.")


def _summary(files: int, warnings: int) -> str:
    said = f"No mistakes in {_count(files, 'file')}"
    return f"{said}, {_count(warnings, 'warning')}." if warnings else f"{said}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
