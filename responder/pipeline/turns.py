"""Whose turn it is to be judged: in a storm only so many at once, so that taking alerts in is never held up.

What has a reason to be looked at now goes before what is merely looked at again, and deliveries go before
both. Called by respond and workload_ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from responder.tasks import together

_WITH_A_REASON = 4
_ROUTINE = 2
# Whoever takes longer waits for somebody that does not answer, and is not to keep others from being judged.
_LONGEST_SECONDS = 2.0
# So long a turn stands back for others: a storm that never pauses must not keep all from being judged.
_STAND_BACK_SECONDS = 1.0
_STAND_BACK_ROUTINE_SECONDS = 5.0
# A judgement is some 25 requests to the API server and Prometheus: at most 7 of them a second by routine.
_BETWEEN_JUDGEMENTS = timedelta(milliseconds=150)


class Turns:
    """The turns of one kind of work.

    `quiet` returns once few deliveries are under way; `count` says how many there are to look at, and `apart`
    how long it has to be between two of them by routine.
    """

    def __init__(
        self,
        quiet: Callable[[], Awaitable[None]],
        count: Callable[[], int],
        apart: timedelta = _BETWEEN_JUDGEMENTS,
    ) -> None:
        self._quiet = quiet
        self._count = count
        self._apart = apart
        self._with_a_reason = asyncio.Semaphore(_WITH_A_REASON)
        self._routine = asyncio.Semaphore(_ROUTINE)
        # Who has a reason, and waits for a turn or holds one.
        self._urgent = 0
        self._none_urgent = asyncio.Event()

    def rest(self, every: timedelta, left: timedelta | None = None) -> timedelta:
        """How long until something is looked at again without a reason: `every`, or longer if there are many.

        Up to 100 incidents are judged anew every 15 s, 1,000 every 150 s. But no longer than what is `left`
        until something is due.
        """
        long = max(every, self._count() * self._apart)
        return long if left is None or left <= timedelta() else min(long, left)

    @asynccontextmanager
    async def turn(self, *, routine: asyncio.Event | None) -> AsyncIterator[None]:
        """Wait for a turn and hold it while the context lasts, but no longer than a few seconds.

        `routine` is given for what has no reason, and is set as soon as it has one.
        """
        if routine is not None and await self._come_round(routine):
            async with self._held(self._routine, self._quiet_and_none_urgent, _STAND_BACK_ROUTINE_SECONDS):
                yield
            return
        self._urgent += 1
        try:
            await self._with_a_reason.acquire()
            async with self._held(self._with_a_reason, self._quiet, _STAND_BACK_SECONDS):
                yield
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._none_urgent.set()

    async def _come_round(self, hurried: asyncio.Event) -> bool:
        """Wait for a turn of routine; False when it was hurried before its turn came."""
        async with together() as group:
            try:
                async with asyncio.timeout(None) as waiting:
                    hearing = group.create_task(_end(waiting, hurried))
                    await self._routine.acquire()
            except TimeoutError:
                return False
            hearing.cancel()
        return True

    @asynccontextmanager
    async def _held(
        self, turns: asyncio.Semaphore, others_are_done: Callable[[], Awaitable[None]], at_most_seconds: float
    ) -> AsyncIterator[None]:
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                turns.release()

        try:
            await _stand_back(others_are_done, at_most_seconds)
            timer = asyncio.get_running_loop().call_later(_LONGEST_SECONDS, give_back)
            try:
                yield
            finally:
                timer.cancel()
        finally:
            give_back()

    async def _quiet_and_none_urgent(self) -> None:
        await self._quiet()
        while self._urgent:
            self._none_urgent.clear()
            await self._none_urgent.wait()


async def _stand_back(others_are_done: Callable[[], Awaitable[None]], at_most_seconds: float) -> None:
    """Let others go first, for so long at most."""
    try:
        async with asyncio.timeout(at_most_seconds):
            await others_are_done()
    except TimeoutError:
        return


async def _end(waiting: asyncio.Timeout, hurried: asyncio.Event) -> None:
    await hurried.wait()
    waiting.reschedule(asyncio.get_running_loop().time())
