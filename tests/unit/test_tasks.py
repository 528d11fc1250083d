"""Running several things at once: errors come as themselves and leave no mark on the task."""

from __future__ import annotations

import asyncio

import pytest

from responder.tasks import alongside, together


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


async def test_works_end_with_their_context_and_their_error_ends_it() -> None:
    async with alongside(wait_for_ever()):
        pass
    with pytest.raises(LookupError):
        await stay_beside_failure()


async def stay_beside_failure() -> None:
    async with alongside(fail()):
        await wait_for_ever()
