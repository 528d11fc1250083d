"""Whose turn it is to be judged: in a storm only so many at once, so that taking alerts in is never held up.

What has a reason to be looked at now goes before what is merely looked at again. Called by respond and watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_WITH_A_REASON = 4
_ROUTINE = 2
# Whoever takes longer waits for somebody that does not answer, and is not to keep others from being judged.
_LONGEST_SECONDS = 2.0


class Turns:
    """The turns of one kind of work."""

    def __init__(self) -> None:
        self._with_a_reason = asyncio.Semaphore(_WITH_A_REASON)
        self._routine = asyncio.Semaphore(_ROUTINE)

    @asynccontextmanager
    async def turn(self, *, routine: bool) -> AsyncIterator[None]:
        """Wait for a turn and hold it while the context lasts, but no longer than a few seconds."""
        turns, held = self._routine if routine else self._with_a_reason, True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                turns.release()

        await turns.acquire()
        timer = asyncio.get_running_loop().call_later(_LONGEST_SECONDS, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()
