"""The picture at every size it is made for: within its bounds, with what matters on it."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from responder.rules.model import Unit
from responder.sandbox.demo.charts import columns_against, stacked_columns
from responder.sandbox.demo.chronicle import Happening, Source, Step
from responder.sandbox.demo.probe import Reading
from responder.sandbox.demo.screen import draw
from responder.sandbox.demo.stories import STORIES
from responder.sandbox.demo.view import Pods, Slot, View
from responder.sandbox.demo.wording import Names
from responder.sandbox.oracle import Tally

RELEASED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GUARDS = (
    "WorkloadExists",
    "TargetExists",
    "NotPaused",
    "NotProtected",
    "StillTrue",
    "InsideRollbackWindow",
    "CausedByRollout",
    "TargetWasGood",
    "NotAgain",
    "NotFrozen",
)


def after(seconds: float) -> datetime:
    return RELEASED + timedelta(seconds=seconds)


def a_view() -> View:
    """Twenty seconds after the release, v2 just taken back."""
    return View(
        story=STORIES["error-rate"],
        number=1,
        of=4,
        alert_source="Prometheus 2.42.0+ds and Alertmanager 0.25.0",
        kubectl="kubectl --kubeconfig build/demo/error-rate/kubeconfig-kubectl get incidents -A",
        now=after(20),
        released_at=RELEASED,
        elapsed_seconds=20.0,
        slots=tuple(
            Slot(after(s), {"v1": Tally(60), "v2": Tally(40, 2)} if 2 <= s < 14 else {"v1": Tally(100)}, 0)
            for s in range(-15, 20)
        ),
        readings=tuple(Reading(after(s / 2), 0.04 if 8 < s < 30 else 0.0) for s in range(-30, 40)),
        metric="error_rate",
        unit=Unit.RATIO,
        threshold=0.01,
        condition="error_rate > 1%",
        shortened="time is shortened: range 5m -> 10s, for 5m -> 5s",
        names=Names("payments/payment-service", {"payment-service-97c454b88": "v1"}),
        phases=("Open", "RollingBack", "Verifying"),
        outcome="",
        action="rollback",
        guards=tuple({"check": name, "result": "Passed", "reason": name} for name in GUARDS),
        proofs=(),
        happenings=(
            Happening(RELEASED, Source.RELEASE, "v2 is released"),
            Happening(after(10), Source.PROMETHEUS, "high-error-rate fires", Step.ALERT),
            Happening(after(11), Source.CLUSTER, "PATCH " + "very " * 40 + "long", Step.UNDO),
        ),
        steps={Step.ALERT: after(10), Step.UNDO: after(11)},
        pods={"v1": Pods(ready=10), "v2": Pods(terminating=2)},
    )


def lines_of(picture: RenderableType, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(picture, height=height)
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (110, 40), (140, 50)])
def test_the_picture_fills_the_terminal_and_no_more(width: int, height: int) -> None:
    lines = lines_of(draw(a_view(), width, height), width, height)
    assert len(lines) == height
    assert max(len(line) for line in lines) <= width
    shown = "\n".join(lines)
    for name in GUARDS:
        assert f"✓ {name}" in shown
    for text in (
        "1/4 error-rate",
        "+20.0 s",
        "[Verifying]",
        "▲release",
        "▲undo",
        "v1 ●●●●●●●●●● 10",
        "v2 ××",
    ):
        assert text in shown
    assert "high-error-rate fires" in shown
    assert "error_rate > 1%" in shown
    # Everything that happened has its seconds.
    assert "+11.0 cluster" in shown
    assert "time is shortened: range 5m -> 10s, for 5m -> 5s" in shown


def test_a_long_text_is_wrapped_below_itself() -> None:
    lines = lines_of(draw(a_view(), 80, 24), 80, 24)
    first = next(index for index, line in enumerate(lines) if "+11.0 cluster" in line)
    start = lines[first].index("PATCH")
    wrapped = lines[first + 1][:53]
    assert wrapped[1:start].strip() == ""
    assert wrapped[start:].startswith("very")
    assert "…" in lines[first + 2]


def test_of_too_much_the_latest_is_told() -> None:
    many = tuple(Happening(after(s), Source.SLACK, f"edit {s}") for s in range(30))
    shown = "\n".join(lines_of(draw(replace(a_view(), happenings=many), 80, 24), 80, 24))
    assert "edit 29" in shown
    assert "edit 20" in shown
    assert "edit 19" not in shown


def test_the_line_for_kubectl_is_shown_where_there_is_room() -> None:
    assert a_view().kubectl not in "\n".join(lines_of(draw(a_view(), 80, 24), 80, 24))
    assert lines_of(draw(a_view(), 110, 40), 110, 40)[-1].strip() == a_view().kubectl


def test_a_guard_that_does_not_pass_shows_its_reason() -> None:
    doubts = ({"check": "StillTrue", "result": "Unknown", "reason": "NoData"},)
    shown = "\n".join(lines_of(draw(replace(a_view(), guards=doubts), 110, 40), 110, 40))
    assert "? StillTrue NoData" in shown


def test_before_the_release_it_counts_down() -> None:
    view = replace(a_view(), released_at=None, elapsed_seconds=-7.0, happenings=(), guards=(), phases=())
    shown = "\n".join(lines_of(draw(view, 80, 24), 80, 24))
    assert "release in 7 s" in shown
    assert "judged at an alert" in shown


def test_a_small_bad_share_is_never_rounded_away() -> None:
    (row,) = stacked_columns([0.0, 0.001, 0.5, 1.0, None], 1)
    assert row.plain == "█▇▄  "
    styles = [str(row.get_style_at_offset(Console(), offset)) for offset in range(5)]
    assert styles[0] == "green"
    assert styles[1:4] == ["green on red"] * 3
    assert "red" not in styles[4]


def test_the_threshold_is_a_line_that_values_rise_above() -> None:
    top, bottom = columns_against([None, 0.5, 2.0], threshold=1.0, height=2, ceiling=2.0)
    assert bottom.plain == " ▄█"
    assert top.plain == "┈┈█"
    assert str(bottom.get_style_at_offset(Console(), 2)) == "red"
