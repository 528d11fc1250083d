"""Line by line, everything is told once; the summary says what was wrong and where to look."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from responder.sandbox.demo.audience import Lines, render_summary
from responder.sandbox.demo.chronicle import Happening, Source
from responder.sandbox.demo.judge import judge
from responder.sandbox.demo.record import Result, render_record
from responder.sandbox.demo.source import AlertSource
from responder.sandbox.demo.view import View
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story
from tests.unit.sandbox.demo.test_judge import ROLLED_BACK, after
from tests.unit.sandbox.demo.test_screen import RELEASED, a_view


def test_every_happening_is_told_once() -> None:
    async def story() -> str:
        clock, output = LoopClock(RELEASED), io.StringIO()
        late = Happening(after(15), Source.SLACK, "Rolled back")

        def take() -> View:
            view = a_view()
            return view if clock.now() < after(2) else replace(view, happenings=(*view.happenings, late))

        watching = asyncio.ensure_future(Lines(Console(file=output, width=60), clock).watch(take))
        await clock.sleep(5)
        watching.cancel()
        await asyncio.wait([watching])
        return output.getvalue()

    lines = run_story(story()).splitlines()
    assert lines[0] == "1/4 error-rate: 5% of payments fail in v2"
    assert lines[1] == "    time is shortened: range 5m -> 10s, for 5m -> 5s"
    assert lines[2].strip() == a_view().kubectl
    assert lines[3].split() == ["+0.0", "s", "release", "v2", "is", "released"]
    assert lines[-1].split() == ["+15.0", "s", "slack", "Rolled", "back"]
    assert len(lines) == 7


def a_result(passed: bool) -> Result:
    evidence = ROLLED_BACK if passed else replace(ROLLED_BACK, version="v2")
    return Result(
        story=evidence.story,
        evidence=evidence,
        findings=judge(evidence),
        happenings=a_view().happenings,
        guards=(),
        proofs=(),
        log=Path("build/demo/error-rate/responder.log"),
        log_tail="first line\nlast line",
    )


def summary(result: Result) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as capture:
        console.print(render_summary((result,)))
    return capture.get()


def test_a_story_that_went_wrong_is_told_with_the_end_of_the_log() -> None:
    said = summary(a_result(passed=False))
    assert "NOT as it should be" in said
    assert "✗ v1 is back: the Deployment's template is v2" in said
    assert "the end of build/demo/error-rate/responder.log:" in said
    assert "last line" in said


def test_a_story_that_went_well_is_told_with_its_times() -> None:
    said = summary(a_result(passed=True))
    assert "NOT" not in said
    assert "last line" not in said
    (undo,) = [line for line in said.splitlines() if line.startswith("undo ")]
    assert undo.split() == ["undo", "11.0"]
    (closed,) = [line for line in said.splitlines() if line.startswith("closed ")]
    assert closed.split() == ["closed", "-"]


def test_the_record_passes_only_with_every_story() -> None:
    source = AlertSource(real=True, versions={"prometheus": "2.42.0"})

    def record(*results: Result) -> dict[str, object]:
        return render_record(source, results, started_at=RELEASED, ended_at=after(60))

    assert record(a_result(passed=True))["passed"] is True
    assert record(a_result(passed=True), a_result(passed=False))["passed"] is False
    assert record()["passed"] is False
    assert record()["alert_source"] == {"kind": "real", "versions": {"prometheus": "2.42.0"}}
