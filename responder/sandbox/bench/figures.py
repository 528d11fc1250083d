"""Figures with their goals: what is printed, and what is written to build/bench.json. Pure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `goal` is what it has to stay below (None: only told)."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    inclusive: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it keeps its goal; None where it has none."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.inclusive else self.value < self.goal


def median_and_p95(name: str, seconds: Sequence[float]) -> tuple[Figure, Figure]:
    """Two figures of a series of durations, in milliseconds. Needs at least two durations."""
    p95 = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    return (
        Figure(f"{name}, median of {len(seconds)}", statistics.median(seconds) * 1000, "ms"),
        Figure(f"{name}, p95 of {len(seconds)}", p95 * 1000, "ms"),
    )


def render_table(figures: Iterable[Figure], title: str) -> Table:
    """The figures for a terminal; what misses its goal says so."""
    table = Table("figure", "value", "unit", "goal", "met", title=title)
    table.columns[1].justify = table.columns[3].justify = "right"
    for figure in figures:
        goal = _goal(figure, "<=")
        met = {None: "", True: "[green]yes[/green]", False: "[bold red]missed[/bold red]"}[figure.met]
        table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, goal, met)
    return table


def render_markdown(figures: Iterable[Figure], command: str) -> str:
    """The figures as the README shows them, below the command and the machine that they come from."""
    lines = [command, "", "| figure | value | goal |", "|---|---:|---:|"]
    for figure in figures:
        goal = _goal(figure, "≤") + ("" if figure.met is not False else " (missed)")
        lines.append(f"| {figure.name} | {_value(figure)} | {goal} |")
    return "\n".join(lines)


def _value(figure: Figure) -> str:
    number = f"{figure.value:,.0f}" if abs(figure.value) >= 100 else f"{figure.value:.3g}"
    return number if figure.unit == "ratio" else f"{number} {figure.unit}"


def _goal(figure: Figure, at_most: str) -> str:
    sign = at_most if figure.inclusive else "<"
    return "" if figure.goal is None else f"{sign} {figure.goal:g}"


def render_json(figures: Iterable[Figure]) -> str:
    """The figures as build/bench.json has them."""
    entries = [
        {"name": f.name, "value": round(f.value, 6), "unit": f.unit, "goal": f.goal, "met": f.met}
        for f in figures
    ]
    return json.dumps(entries, indent=2) + "\n"
