"""SIGKILL at every recorded step of every story: it ends as it does when nobody is killed.

The replica is a process of the real program, killed at the very moment at which a server gets the request
that is the step, has carried it out, or has just answered it. Then it is started again, or the other one
takes over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from tests.crash.conftest import Line
from tests.crash.play import Mode, Played, Run, play
from tests.crash.points import Moment, Point, select_points
from tests.crash.stories import STORIES

pytestmark = [pytest.mark.slow, pytest.mark.crash]

# Not every run takes every step: how often people are told depends on how fast things go. And a run in which
# the machine stood still shows nothing but that.
_TRIES = 3
_MOST_MISSED = 0.1
# Who takes over finds the same after a step as before the next one.
_MOMENTS = {Mode.RESTART: tuple(Moment), Mode.TAKE_OVER: (Moment.BETWEEN,)}


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_step(
    story: str,
    mode: Mode,
    pool: ProcessPoolExecutor,
    table: list[Line],
    subtests: pytest.Subtests,
    tmp_path: Path,
    every_point: bool,
) -> None:
    line, began, folders = Line(story, mode), time.perf_counter(), _folders(tmp_path)
    table.append(line)

    def submit(point: Point | None) -> Future[Played]:
        line.runs += 1
        return pool.submit(play, Run(story, mode, point, next(folders)))

    reference = submit(None).result()
    assert not reference.problem, reference.problem
    points = select_points(reference.steps, _MOMENTS[mode], every=every_point)
    line.steps, line.points = len(reference.steps), len(points)
    for point, played in _play_all(points, submit, reference).items():
        with subtests.test(msg=f"{story}, {mode}: killed {point}"):
            line.failed += 1
            line.missed += not played.killed
            assert not played.problem, played.problem
            assert played.outcome == reference.outcome
            line.failed -= 1
    line.seconds = time.perf_counter() - began
    assert line.missed <= _MOST_MISSED * line.points, "too many steps did not come up again"


def _play_all(
    points: Iterable[Point], submit: Callable[[Point], Future[Played]], reference: Played
) -> dict[Point, Played]:
    """A run for each point; those that show nothing are played again, all of them at once."""
    found: dict[Point, Played] = {}
    left = list(points)
    for _ in range(_TRIES):
        runs = {point: submit(point) for point in left}
        found |= {point: run.result() for point, run in runs.items()}
        left = [point for point in left if not _shows(found[point], reference)]
    return found


def _shows(played: Played, reference: Played) -> bool:
    """Whether there was a kill, and what came of it was not the standing still of the machine."""
    return played.killed and (played.outcome == reference.outcome or played.tells)


def _folders(parent: Path) -> Iterator[Path]:
    return (parent / str(number) for number in count())
