"""SIGKILL at every recorded step of every story: it ends as it does when nobody is killed.

The replica is a process of the real program, killed at the very moment at which a server gets the request
that is the step, has carried it out, or has just answered it. Then it is started again, or the other one
takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
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
# While the last runs of one story are waited for, the other one keeps the pool busy.
_STORIES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Killed:
    """A story as it goes when nobody is killed, and what became of it at each point."""

    reference: Played
    runs: dict[Point, Played]
    line: Line


@pytest.fixture(scope="module")
def killed(
    request: pytest.FixtureRequest,
    pool: ProcessPoolExecutor,
    every_point: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[str, Mode], Future[Killed]]]:
    """Every story and mode that is to be tested here, being played."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    threads = ThreadPoolExecutor(_STORIES_AT_ONCE)

    def begin(story: str, mode: Mode) -> Future[Killed]:
        folder = tmp_path_factory.mktemp(f"{story}-{mode}")
        return threads.submit(_kill_everywhere, pool, story, mode, folder, every=every_point)

    yield {
        (story, mode): begin(story, mode)
        for story in STORIES
        for mode in Mode
        if {"story": story, "mode": mode} in chosen
    }
    threads.shutdown(wait=False, cancel_futures=True)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_step(
    story: str,
    mode: Mode,
    killed: dict[tuple[str, Mode], Future[Killed]],
    table: list[Line],
    subtests: pytest.Subtests,
) -> None:
    found = killed[story, mode].result()
    reference, line = found.reference, found.line
    table.append(line)
    assert not reference.problem, reference.problem
    for point, played in found.runs.items():
        with subtests.test(msg=f"{story}, {mode}: killed {point}"):
            line.failed += 1
            line.missed += not played.killed
            assert not played.problem, played.problem
            assert played.outcome == reference.outcome
            line.failed -= 1
    assert line.missed <= _MOST_MISSED * line.points, "too many steps did not come up again"


def _kill_everywhere(
    pool: ProcessPoolExecutor, story: str, mode: Mode, parent: Path, *, every: bool
) -> Killed:
    """Play the story without a kill, and once for each of its points."""
    line, numbers = Line(story, mode), count()

    def submit(point: Point | None) -> Future[Played]:
        line.runs += 1
        return pool.submit(play, Run(story, mode, point, parent / str(next(numbers))))

    reference = submit(None).result()
    points = [] if reference.problem else select_points(reference.steps, _MOMENTS[mode], every=every)
    line.steps, line.points = len(reference.steps), len(points)
    return Killed(reference, _play_all(points, submit, reference), line)


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
