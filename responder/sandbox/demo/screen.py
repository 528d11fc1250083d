"""Draws a view for the terminal: traffic, metric, what happened. Pure: a view in, a renderable out.

Made for 80 by 24 characters and more.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from responder.sandbox.demo.charts import BAD_STYLE, GOOD_STYLE, columns_against, stacked_columns
from responder.sandbox.demo.checks import draw_checks, format_value
from responder.sandbox.demo.chronicle import Happening, Source, Step
from responder.sandbox.demo.stories import BAD, GOOD
from responder.sandbox.demo.view import SLOT, View

SOURCE_STYLES = {
    Source.RELEASE: "bold magenta",
    Source.DEPENDENCY: "bold red",
    Source.CLIENTS: "red",
    Source.PROMETHEUS: "yellow",
    Source.INCIDENT: "cyan",
    Source.CLUSTER: "bold blue",
    Source.SLACK: "bright_magenta",
    Source.PAGERDUTY: "bright_green",
    Source.PERSON: "bold bright_white",
}
_PHASES = ("Open", "AwaitingDecision", "RollingBack", "Verifying", "Settling", "Closed")
_SMALLEST_HEIGHT = 24
_HEADER_HEIGHT = 2
_LABEL_WIDTH = 8
_SOURCE_WIDTH = max(len(source) for source in Source)
_BORDER_WIDTH = 4
# The steps that are marked under the traffic, where two meet rather the first.
_MARKED = (Step.UNDO, Step.TRAFFIC, Step.RECOVERED, Step.ALERT)


def draw(view: View, width: int, height: int) -> RenderableType:
    """The whole screen."""
    spare = max(0, height - _SMALLEST_HEIGHT)
    traffic_rows = 3 + min(5, spare // 3)
    metric_rows = 2 + min(4, spare // 5)
    columns = max(10, width - _LABEL_WIDTH - _BORDER_WIDTH)
    footer = [Layout(Text(f" {view.kubectl}", "dim", no_wrap=True), size=1)] if spare else []
    layout = Layout()
    layout.split_column(
        Layout(_header(view, width), size=_HEADER_HEIGHT),
        Layout(_traffic(view, columns, traffic_rows), size=traffic_rows + 3),
        Layout(_metric(view, columns, metric_rows), size=metric_rows + 2),
        Layout(name="below"),
        *footer,
    )
    rows = height - _HEADER_HEIGHT - traffic_rows - 3 - metric_rows - 2 - 2 - len(footer)
    # From 110 characters on the guards have room for their numbers.
    right = max(26, min(56, width * 48 // 100 - 8)) if width >= 100 else 26
    layout["below"].split_row(
        Layout(_timeline(view, width - right - _BORDER_WIDTH, rows)),
        Layout(draw_checks(view, right - _BORDER_WIDTH, rows), size=right),
    )
    return layout


def _header(view: View, width: int) -> RenderableType:
    story = view.story
    if view.released_at is None:
        clock = Text(f"release in {max(0.0, -view.elapsed_seconds):.0f} s", "dim")
    else:
        clock = Text(f"{view.elapsed_seconds:+.1f} s", "bold")
    top = Table.grid(expand=True)
    top.add_column(ratio=1, no_wrap=True)
    top.add_column(justify="right", no_wrap=True)
    title = Text.assemble(
        (f" {view.number}/{view.of} {story.name} ", "bold reverse"), (f" {story.title}", "bold")
    )
    top.add_row(title, clock)
    return Group(top, _phase_line(view, width))


def _phase_line(view: View, width: int) -> Text:
    line = Text(" ", no_wrap=True)
    for index, phase in enumerate(_PHASES):
        if index:
            line.append(" ─ " if width >= 90 else " ", "dim")
        if view.phases and phase == view.phases[-1]:
            line.append(f"[{phase}]", "bold reverse cyan")
        else:
            line.append(phase, "cyan" if phase in view.phases else "dim")
    if view.outcome:
        line.append(f"  {view.outcome}", "bold")
    return line


def _traffic(view: View, columns: int, rows: int) -> Panel:
    slots = view.slots[-columns:]
    shares: list[float | None] = []
    for slot in slots:
        total = sum(tally.requests for tally in slot.served.values())
        bad = slot.served[BAD].requests if BAD in slot.served else 0
        shares.append(bad / total if total else None)
    labels = [Text("100%".rjust(_LABEL_WIDTH)), *(Text(" " * _LABEL_WIDTH) for _ in range(rows - 1))]
    chart = _beside(labels, stacked_columns(shares, rows))
    marks = Text(" " * (_LABEL_WIDTH + 1)) + _marks(view, [slot.at for slot in slots])
    return Panel(
        Group(*chart, marks),
        title=Text.assemble("traffic by version: ", (GOOD, GOOD_STYLE), " ", (BAD, BAD_STYLE)),
        subtitle=_pods(view),
        title_align="left",
        subtitle_align="left",
        border_style="dim",
    )


def _marks(view: View, instants: Sequence[datetime]) -> Text:
    """Where the steps fall, under the columns; what would run into another is left out."""
    moments = [("release", view.released_at), *((step.value, view.steps.get(step)) for step in _MARKED)]
    line = " " * len(instants)
    for name, at in moments:
        column = next((i for i, start in enumerate(instants) if at and start <= at < start + SLOT), None)
        if column is not None:
            text = f"▲{name} "
            before, under, after = (
                line[:column],
                line[column : column + len(text)],
                line[column + len(text) :],
            )
            line = line if under.strip() else f"{before}{text}{after}"
    return Text(line, "dim", no_wrap=True, overflow="crop")


def _pods(view: View) -> Text:
    text = Text("pods: ")
    for version, style in ((GOOD, GOOD_STYLE), (BAD, BAD_STYLE)):
        pods = view.pods.get(version)
        if pods is None:
            continue
        text.append(f"{version} ", style)
        text.append("●" * pods.ready, style)
        text.append("◌" * pods.starting, style)
        text.append("×" * pods.terminating, f"dim {style}")
        text.append(f" {pods.ready}  ")
    return text


def _metric(view: View, columns: int, rows: int) -> Panel:
    # Two readings a second, one column a second.
    by_second = {reading.at.replace(microsecond=0): reading.value for reading in view.readings}
    values = [by_second.get(slot.at.replace(microsecond=0)) for slot in view.slots[-columns:]]
    now = next((reading.value for reading in reversed(view.readings)), None)
    ceiling = max([view.threshold * 2, *(value for value in values if value is not None)])
    labels = [Text(" " * _LABEL_WIDTH) for _ in range(rows)]
    labels[0] = Text(format_value(ceiling, view.unit).rjust(_LABEL_WIDTH))
    style = BAD_STYLE if now is not None and now > view.threshold else GOOD_STYLE
    said = "no value" if now is None else format_value(now, view.unit)
    return Panel(
        Group(*_beside(labels, columns_against(values, view.threshold, rows, ceiling))),
        title=Text.assemble(f"{view.metric}: ", (said, f"bold {style}"), f"   rule: {view.condition}"),
        subtitle=Text(f"by {view.alert_source}", "dim"),
        title_align="left",
        subtitle_align="right",
        border_style="dim",
    )


def _beside(labels: Iterable[Text], rows: Iterable[Text]) -> list[Text]:
    return [label + Text(" ") + row for label, row in zip(labels, rows, strict=True)]


def _timeline(view: View, width: int, rows: int) -> Panel:
    """The latest that happened, in so many rows; the latest of all has all the room it needs."""
    lines: list[Text] = []
    for happening in reversed(view.happenings):
        told = _tell(view, happening, width, max_lines=max(2, rows // 3))
        if lines and len(lines) + len(told) > rows:
            break
        lines = told + lines
    return Panel(
        Group(*lines[:rows]),
        title="what happened (seconds since the release)",
        subtitle=Text(view.shortened, "yellow"),
        title_align="left",
        subtitle_align="left",
        border_style="dim",
    )


def _tell(view: View, happening: Happening, width: int, max_lines: int) -> list[Text]:
    """When, who and what, the latter on as many lines as it needs, but not more than `max_lines`."""
    time = f"{seconds_since(view.released_at, happening):+6.1f} "
    source = f"{happening.source:<{_SOURCE_WIDTH}} "
    indent = len(time) + len(source)
    first, *others = textwrap.wrap(
        happening.text,
        max(10, width - indent),
        max_lines=max_lines,
        placeholder=" …",
        break_on_hyphens=False,
    )
    head = Text.assemble(time, (source, SOURCE_STYLES[happening.source]), first)
    return [head, *(Text(" " * indent + line) for line in others)]


def seconds_since(released_at: datetime | None, happening: Happening) -> float:
    """Seconds from the release to what happened; 0 without a release."""
    return 0.0 if released_at is None else (happening.at - released_at).total_seconds()
