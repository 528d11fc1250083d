"""How results are printed: tables with colour in a terminal, plain columns when piped, JSON for machines.

What comes from a cluster was written by anybody, so control characters never reach the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from responder.rules.quantities import format_duration

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"Passed": "green", "Failed": "bold red", "Unknown": "yellow"}


class Output(StrEnum):
    """How a result is printed."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="For people or for machines.")]


def to_json(value: object) -> str:
    """The value as indented JSON; instants as ISO 8601."""
    return json.dumps(value, indent=2, default=_plain)


def say(text: str = "", style: str = "") -> None:
    """Print lines of text, coloured in a terminal, whole when piped."""
    from rich.text import Text

    _console().print(Text(clean(text)), style=style or None)


def show_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    spare: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """Print rows under their titles: in a terminal folded to its width, otherwise a line each.

    In a terminal that is too narrow the `spare` columns are left out, the first first, and a line says so;
    those that are `whole` are folded last.
    """
    cleaned = [[clean(cell) or "-" for cell in row] for row in rows]
    console = _console()
    if not console.is_terminal:
        widths = [max(map(len, column)) for column in zip(titles, *cleaned, strict=True)]
        for row in (list(titles), *cleaned):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from rich.table import Table
    from rich.text import Text

    columns = dict(zip(titles, zip(*cleaned, strict=True), strict=True)) if cleaned else {}
    left_out = []
    for title in spare:
        if columns and _width(columns) > console.width:
            del columns[title]
            left_out.append(title)
    table = Table(box=None, pad_edge=False)
    for title in columns or titles:
        table.add_column(title, overflow="fold", no_wrap=title in whole)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*(Text(cell, style_of(cell)) for cell in cells))
    console.print(table)
    if left_out:
        told = f"No room for {', '.join(left_out)}: widen the terminal, or read all of it by -o json."
        console.print(told, style="dim")


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """How wide these are side by side, with two spaces between."""
    return sum(max(map(len, (title, *cells))) + 2 for title, cells in columns.items()) - 2


def style_of(word: str) -> str:
    """The colour of a verdict; none for other words."""
    return _STYLES.get(word, "")


def clean(text: str) -> str:
    """The text without control characters; lines stay."""
    return "".join(each if each.isprintable() or each == "\n" else "�" for each in text)


def instant(at: datetime | None) -> str:
    """An instant to the second in UTC; empty for None."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%SZ}"


def age(since: datetime, now: datetime) -> str:
    """How long ago that was, in its two largest units."""
    seconds = max(0, int((now - since).total_seconds()))
    step = 1 if seconds < 3600 else 60 if seconds < 172_800 else 3600
    return format_duration(timedelta(seconds=seconds // step * step))


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
