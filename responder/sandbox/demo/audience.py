"""Who watches the demo: a terminal, live, or something else, line by line. And the summary both get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from responder.clock import Clock
from responder.sandbox.demo.chronicle import Happening, Step
from responder.sandbox.demo.record import Result
from responder.sandbox.demo.screen import draw, seconds_since
from responder.sandbox.demo.view import View

_FRAME_SECONDS = 0.25
_LOG_LINES = 8

Take = Callable[[], View | None]
"""Takes a view of the story that is played; None while the first is still set up."""


class Audience(Protocol):
    """Watches until cancelled."""

    async def watch(self, take: Take) -> None:
        """Look again and again at what `take` gives."""
        ...


class Terminal:
    """A live picture on the whole terminal."""

    def __init__(self, console: Console, clock: Clock, waiting: str) -> None:
        self._console = console
        self._clock = clock
        self._waiting = waiting

    async def watch(self, take: Take) -> None:
        """Draw four times a second; the terminal is as it was when this ends."""
        with Live(console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(self._picture(take()), refresh=True)
                await self._clock.sleep(_FRAME_SECONDS)

    def _picture(self, view: View | None) -> RenderableType:
        if view is None:
            return Text(f"\n  {self._waiting}")
        return draw(view, self._console.width, self._console.height)


class Lines:
    """A line for everything that happens, for logs and pipes."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock

    async def watch(self, take: Take) -> None:
        """Print what is new, four times a second."""
        told: set[tuple[str, Happening]] = set()
        title = ""
        while True:
            view = take()
            if view is not None and view.released_at is not None:
                if view.story.name != title:
                    title = view.story.name
                    self._print(f"{view.number}/{view.of} {title}: {view.story.title}")
                    self._print(f"    {view.shortened}")
                    self._print(f"    {view.kubectl}")
                for happening in view.happenings:
                    if (title, happening) not in told:
                        told.add((title, happening))
                        seconds = seconds_since(view.released_at, happening)
                        self._print(f"{seconds:+7.1f} s  {happening.source:<10}  {happening.text}")
            await self._clock.sleep(_FRAME_SECONDS)

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class Nobody:
    """Watches nothing: for whoever only wants the results."""

    async def watch(self, take: Take) -> None:
        """Do nothing."""


def render_summary(results: tuple[Result, ...]) -> RenderableType:
    """The steps of every story in seconds since its release, and how it was judged."""
    title = Text("seconds since the release; - is no part of the story", "italic")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for result in results:
        table.add_column(result.story.name, justify="right")
    for step in Step:
        seconds = [result.seconds_to(step) for result in results]
        table.add_row(step.value, *("-" if each is None else f"{each:.1f}" for each in seconds))
    return Group(title, table, *(_render_result(result) for result in results))


def _render_result(result: Result) -> RenderableType:
    verdict = ("as it should be", "bold green") if result.passed else ("NOT as it should be", "bold red")
    lines = [Text.assemble(f"\n{result.story.name}: {result.story.ending}, ", verdict)]
    for finding in result.findings:
        mark = ("  ✓ ", "green") if finding.passed else ("  ✗ ", "red")
        lines.append(Text.assemble(mark, f"{finding.check}: {finding.text}"))
    if not result.passed:
        lines.append(Text(f"  the end of {result.log}:", "dim"))
        lines += [Text(f"    {line}", "dim") for line in result.log_tail.splitlines()[-_LOG_LINES:]]
    return Group(*lines)
