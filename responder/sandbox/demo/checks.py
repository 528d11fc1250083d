"""Draws the guards and the proof with the numbers they rest on. Pure; used by screen.py.

What stands in the way comes first and has the room; what passed is summed up where there is none.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from responder.rules.model import Action, Unit
from responder.sandbox.demo.stories import BAD
from responder.sandbox.demo.view import View

Verdict = Mapping[str, Any]

_RESULTS = {"Passed": ("✓", "green"), "Failed": ("✗", "red"), "Unknown": ("?", "yellow")}
_INDENT = "  "
_LEAST_PROOF = 2
# What a rule that does not roll back by itself makes of the guards.
_NOTES = {
    Action.NONE: "not needed: the rule only tells",
    Action.ASK: "a person decides",
}


def draw_checks(view: View, width: int, rows: int) -> Panel:
    """The panel beside what happened: so many characters wide and rows high inside."""
    lines = _lines(view, width, rows) if view.guards else [Text("judged at an alert", "dim")]
    return Panel(Group(*lines[:rows]), title="guards", title_align="left", border_style="dim")


def _lines(view: View, width: int, rows: int) -> list[Text]:
    note = _NOTES.get(Action(view.action)) if view.action else None
    head = [Text(line, "yellow") for line in textwrap.wrap(note, width)] if note else []
    rows -= len(head)
    guards = _section(view, view.guards, width, rows)
    if not view.proofs:
        return head + guards
    # The line above the proof, and the least that is to be seen of it.
    if len(guards) + 1 + min(_LEAST_PROOF, len(view.proofs)) > rows:
        guards = _section(view, view.guards, width, 1)
    proof = _section(view, view.proofs, width, rows - len(guards) - 1)
    return [*head, *guards, Text("proof", "dim"), *proof]


def _section(view: View, verdicts: tuple[Verdict, ...], width: int, rows: int) -> list[Text]:
    """Doubts in full, then as many of those that passed as there is room for."""
    doubts = [each for each in verdicts if each["result"] != "Passed"]
    good = [each for each in verdicts if each["result"] == "Passed"]
    lines = [line for each in doubts for line in _explain(view, each, width)]
    left = rows - len(lines)
    if len(good) <= left:
        return lines + [_mention(view, each, width) for each in good]
    kept = max(0, left - 1)
    rest = Text.assemble(("✓ ", "green"), f"{len(good) - kept} {'more' if lines or kept else 'passed'}")
    return [*lines, *(_mention(view, each, width) for each in good[:kept]), rest]


def _explain(view: View, verdict: Verdict, width: int) -> Iterator[Text]:
    """What stands in the way: its name, the reason, the numbers."""
    mark, style = _RESULTS.get(verdict["result"], ("·", "dim"))
    head, reason = f"{mark} {verdict['check']}", str(verdict["reason"])
    if len(head) + 1 + len(reason) <= width:
        yield Text.assemble((head, f"bold {style}"), " ", (reason, style))
    else:
        yield Text(head, f"bold {style}")
        yield Text(_INDENT + reason, style, no_wrap=True, overflow="ellipsis")
    for line in textwrap.wrap(", ".join(brief(view, verdict)), max(1, width - len(_INDENT))):
        yield Text(_INDENT + line)


def _mention(view: View, verdict: Verdict, width: int) -> Text:
    """What passed, with as many of its numbers as fit beside it."""
    line = Text.assemble(("✓ ", "green"), str(verdict["check"]), no_wrap=True, overflow="ellipsis")
    for index, part in enumerate(brief(view, verdict)):
        part = f" {part}" if index == 0 else f", {part}"
        if line.cell_len + len(part) > width:
            break
        line.append(part, "dim")
    return line


def brief(view: View, verdict: Verdict) -> list[str]:
    """The numbers and names a verdict rests on, the most telling first; none where there are none."""
    evidence: Mapping[str, str] = verdict.get("evidence") or {}
    found: list[str] = []
    if view.metric in evidence:
        found += _measured(view, evidence)
    if "target" in evidence:
        found.append(view.names.shorten(evidence["target"]))
    for name, words in (
        ("onset", "trouble from"),
        ("began", f"{BAD} from"),
        ("healthy_until", "healthy until"),
    ):
        if name in evidence:
            found.append(f"{words} {_since_release(view, evidence[name])}")
    if "window" in evidence:
        found.append(f"window {evidence['window']}")
    return found


def _measured(view: View, evidence: Mapping[str, str]) -> Iterator[str]:
    """The metric against its threshold, and on how many samples."""
    value, threshold = _number(evidence[view.metric]), _number(evidence.get(f"{view.metric}_threshold"))
    if value is None or threshold is None:
        yield "no value"
        return
    baseline = _number(evidence.get(f"{view.metric}_baseline"))
    if baseline is not None:
        yield f"{format_value(value, view.unit)}, before {format_value(baseline, view.unit)}"
    else:
        sign = ">" if value > threshold else "≤"
        yield f"{format_value(value, view.unit)} {sign} {format_value(threshold, view.unit)}"
    samples = _number(evidence.get(f"{view.metric}_samples"))
    if samples is not None:
        yield f"{samples:.0f} samples"


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _since_release(view: View, instant: str) -> str:
    """An instant as the seconds that everything else on the screen is told in."""
    if view.released_at is None:
        return instant
    seconds = (datetime.fromisoformat(instant) - view.released_at).total_seconds()
    # Adding zero takes the sign from what rounds to zero.
    return f"{round(seconds, 1) + 0.0:+.1f} s"


def format_value(value: float, unit: Unit) -> str:
    """The value as the rule writes it."""
    if unit is Unit.RATIO:
        return f"{value:.1%}"
    return f"{value:.2g} s" if unit is Unit.SECONDS else f"{value:g}"
