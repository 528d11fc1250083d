"""Turns in a storm: so many at once, deliveries first, who has a reason apart, the slow hold up nobody."""

from __future__ import annotations

from asyncio import Event, TaskGroup, get_running_loop
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from responder.pipeline.turns import Turns
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story


async def quiet() -> None:
    """No deliveries are under way."""


async def never_quiet() -> None:
    """Deliveries follow each other without an end."""
    await Event().wait()


def turns(wait: Callable[[], Awaitable[None]] = quiet, count: int = 1) -> Turns:
    return Turns(wait, lambda: count)


async def ends_of(turns: Turns, count: int, seconds: float, *, routine: bool) -> list[float]:
    """When each of so many that take so long had ended, all begun at once."""
    clock, ends = LoopClock(datetime(2026, 1, 1, tzinfo=UTC)), []

    async def work() -> None:
        async with turns.turn(routine=Event() if routine else None):
            await clock.sleep(seconds)
        ends.append(round(get_running_loop().time(), 3))

    async with TaskGroup() as group:
        for _ in range(count):
            group.create_task(work())
    return ends


@pytest.mark.parametrize(("routine", "at_once"), [(True, 2), (False, 4)])
def test_so_many_at_once_and_no_more(routine: bool, at_once: int) -> None:
    ends = run_story(ends_of(turns(), at_once * 2 + 1, 1.0, routine=routine))
    assert ends == [1.0] * at_once + [2.0] * at_once + [3.0]


def test_what_has_a_reason_does_not_wait_for_what_has_none() -> None:
    async def story() -> None:
        shared = turns()
        async with TaskGroup() as group:
            group.create_task(ends_of(shared, 40, 1.0, routine=True))
            hurried = group.create_task(ends_of(shared, 1, 1.0, routine=False))
        assert hurried.result() == [1.0]

    run_story(story())


def test_routine_goes_on_once_nothing_has_a_reason_any_more() -> None:
    async def story() -> None:
        shared = turns()
        async with TaskGroup() as group:
            group.create_task(ends_of(shared, 12, 1.0, routine=False))
            later = group.create_task(ends_of(shared, 2, 1.0, routine=True))
        assert later.result() == [4.0] * 2

    run_story(story())


def test_reasons_without_an_end_starve_no_routine() -> None:
    async def story() -> None:
        shared = turns()
        async with TaskGroup() as group:
            group.create_task(ends_of(shared, 60, 1.0, routine=False))
            later = group.create_task(ends_of(shared, 2, 1.0, routine=True))
        assert later.result() == [6.0] * 2

    run_story(story())


def test_who_waits_long_for_somebody_else_makes_room_once() -> None:
    ends = run_story(ends_of(turns(), 6, 30.0, routine=True))
    assert ends == [30.0] * 2 + [32.0] * 2 + [34.0] * 2


def test_an_error_gives_the_turn_back() -> None:
    async def story() -> None:
        shared = turns()
        for _ in range(20):
            with pytest.raises(ZeroDivisionError):
                async with shared.turn(routine=Event()):
                    raise ZeroDivisionError
        assert await ends_of(shared, 2, 1.0, routine=True) == [1.0] * 2

    run_story(story())


def test_a_turn_begins_when_the_deliveries_under_way_are_few() -> None:
    async def story() -> None:
        few = Event()
        get_running_loop().call_later(0.5, few.set)

        async def until_few() -> None:
            await few.wait()

        assert await ends_of(turns(until_few), 1, 1.0, routine=False) == [1.5]

    run_story(story())


@pytest.mark.parametrize(("routine", "ends"), [(False, [2.0] * 4 + [4.0]), (True, [6.0] * 2 + [12.0])])
def test_deliveries_without_an_end_starve_nobody(routine: bool, ends: list[float]) -> None:
    assert run_story(ends_of(turns(never_quiet), len(ends), 1.0, routine=routine)) == ends


@pytest.mark.parametrize(("count", "seconds"), [(0, 15), (1, 15), (100, 15), (200, 30), (1000, 150)])
def test_the_more_there_are_the_more_seldom_each_is_looked_at_again(count: int, seconds: int) -> None:
    assert turns(count=count).rest(timedelta(seconds=15)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("left", "seconds"), [(20, 20), (1, 1), (200, 150), (0, 150), (-5, 150)])
def test_nothing_that_is_due_waits_for_its_turn(left: int, seconds: int) -> None:
    rest = turns(count=1000).rest(timedelta(seconds=15), timedelta(seconds=left))
    assert rest == timedelta(seconds=seconds)


def test_who_is_hurried_waits_for_no_turn_of_routine() -> None:
    async def story() -> None:
        shared, hurried, clock = turns(), Event(), LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        get_running_loop().call_later(3.5, hurried.set)

        async def work() -> float:
            await clock.sleep(0.5)
            async with shared.turn(routine=hurried):
                await clock.sleep(1)
            return get_running_loop().time()

        async with TaskGroup() as group:
            before = group.create_task(ends_of(shared, 40, 1.0, routine=True))
            work_hurried = group.create_task(work())
        assert work_hurried.result() == 4.5
        # All others of the routine came round as before.
        assert len(before.result()) == 40
        assert await ends_of(shared, 2, 1.0, routine=True) == [before.result()[-1] + 1] * 2

    run_story(story())


def test_who_is_cancelled_while_it_waits_keeps_no_turn() -> None:
    async def story() -> None:
        shared = turns()
        async with TaskGroup() as group:
            tasks = [group.create_task(ends_of(shared, 4, 1.0, routine=True)) for _ in range(3)]
            get_running_loop().call_later(1.5, tasks[1].cancel)
        assert await ends_of(shared, 2, 1.0, routine=True) == [5.0] * 2

    run_story(story())
