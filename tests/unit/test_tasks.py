"""Running several things at once: errors come as themselves and leave no mark on the task."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from responder.clock import SystemClock
from responder.tasks import alongside, results_of, together

# Sleeping for no time is one pass of the loop.
CLOCK = SystemClock()


async def fail() -> None:
    raise LookupError("gone")


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def run_both(begun: list[asyncio.Task[None]]) -> None:
    async with together() as group:
        begun.append(group.create_task(wait_for_ever()))
        begun.append(group.create_task(fail()))


async def test_the_first_error_is_raised_as_itself_and_the_rest_is_cancelled() -> None:
    begun: list[asyncio.Task[None]] = []
    with pytest.raises(LookupError, match="gone"):
        await run_both(begun)
    assert begun[0].cancelled()


async def test_a_timeout_after_an_error_is_still_a_timeout() -> None:
    with pytest.raises(LookupError):
        await run_both([])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await wait_for_ever()


async def linger(passes: int) -> None:
    """Take so many passes of the loop to end once cancelled."""
    try:
        await wait_for_ever()
    finally:
        for _ in range(passes):
            await CLOCK.sleep(0)


async def fail_after(passes: int) -> None:
    for _ in range(passes):
        await CLOCK.sleep(0)
    await fail()


async def fail_again_and_again() -> None:
    """As whoever tries again after an error."""
    while True:
        with suppress(LookupError):
            async with together() as group:
                group.create_task(linger(3))
                group.create_task(fail_after(2))


@pytest.mark.parametrize("passes", range(24))
async def test_no_error_hides_a_cancellation_whenever_it_comes(passes: int) -> None:
    working = asyncio.ensure_future(fail_again_and_again())
    for _ in range(passes):
        await CLOCK.sleep(0)
    working.cancel()
    for _ in range(50):
        await CLOCK.sleep(0)
    ended = working.cancelled()
    # So that a failing test leaves nothing behind.
    while not working.done():
        working.cancel()
        await CLOCK.sleep(0)
    assert ended


async def break_when_cancelled() -> None:
    try:
        await wait_for_ever()
    finally:
        await fail()


async def run_one(work: Coroutine[Any, Any, None]) -> None:
    async with together() as group:
        group.create_task(work)


async def test_no_error_met_while_it_is_cancelled_hides_the_cancellation() -> None:
    working = asyncio.ensure_future(run_one(break_when_cancelled()))
    await CLOCK.sleep(0)
    await CLOCK.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run_one(break_when_cancelled())


async def test_an_error_of_a_group_within_a_group_is_the_first_one() -> None:
    with pytest.raises(LookupError):
        await run_one(run_both([]))
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_what_a_task_begins_is_waited_for() -> None:
    ended = []

    async def begin(group: asyncio.TaskGroup) -> None:
        group.create_task(end())

    async def end() -> None:
        await CLOCK.sleep(0)
        ended.append(True)

    async with together() as group:
        group.create_task(begin(group))
    assert ended == [True]


async def test_results_come_under_their_keys_or_the_first_error_instead() -> None:
    async def double(number: int) -> int:
        await CLOCK.sleep(0)
        return 2 * number

    assert await results_of({name: double(len(name)) for name in ("a", "bcd")}) == {"a": 2, "bcd": 6}
    assert await results_of({}) == {}
    with pytest.raises(LookupError, match="gone"):
        await results_of({"ever": wait_for_ever(), "failing": fail()})


async def test_works_end_with_their_context_and_their_error_ends_it() -> None:
    async with alongside(wait_for_ever()):
        pass
    with pytest.raises(LookupError):
        await stay_beside_failure()


async def stay_beside_failure() -> None:
    async with alongside(fail()):
        await wait_for_ever()
