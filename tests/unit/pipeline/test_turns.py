"""Turns in a storm: so many at once, those with a reason apart, and the slow keep nobody waiting."""

from __future__ import annotations

from asyncio import TaskGroup, get_running_loop
from datetime import UTC, datetime

import pytest

from responder.pipeline.turns import Turns
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story


async def ends_of(turns: Turns, count: int, seconds: float, *, routine: bool) -> list[float]:
    """When each of so many that take so long had ended, all begun at once."""
    clock, ends = LoopClock(datetime(2026, 1, 1, tzinfo=UTC)), []

    async def work() -> None:
        async with turns.turn(routine=routine):
            await clock.sleep(seconds)
        ends.append(round(get_running_loop().time(), 3))

    async with TaskGroup() as group:
        for _ in range(count):
            group.create_task(work())
    return ends


@pytest.mark.parametrize(("routine", "at_once"), [(True, 2), (False, 4)])
def test_so_many_at_once_and_no_more(routine: bool, at_once: int) -> None:
    ends = run_story(ends_of(Turns(), at_once * 2 + 1, 1.0, routine=routine))
    assert ends == [1.0] * at_once + [2.0] * at_once + [3.0]


def test_what_has_a_reason_does_not_wait_for_what_has_none() -> None:
    async def story() -> None:
        turns = Turns()
        async with TaskGroup() as group:
            group.create_task(ends_of(turns, 40, 1.0, routine=True))
            hurried = group.create_task(ends_of(turns, 1, 1.0, routine=False))
        assert hurried.result() == [1.0]

    run_story(story())


def test_who_waits_long_for_somebody_else_makes_room_once() -> None:
    ends = run_story(ends_of(Turns(), 6, 30.0, routine=True))
    assert ends == [30.0] * 2 + [32.0] * 2 + [34.0] * 2


def test_an_error_gives_the_turn_back() -> None:
    async def story() -> None:
        turns = Turns()
        for _ in range(20):
            with pytest.raises(ZeroDivisionError):
                async with turns.turn(routine=True):
                    raise ZeroDivisionError
        assert await ends_of(turns, 2, 1.0, routine=True) == [1.0] * 2

    run_story(story())
