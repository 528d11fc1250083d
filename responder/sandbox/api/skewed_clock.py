"""A clock that is off: what the API server's own may be."""

from __future__ import annotations

from datetime import datetime, timedelta

from responder.clock import Clock


class SkewedClock:
    """Tells another time than the clock behind it, and waits as that one does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_by = timedelta()

    def now(self) -> datetime:
        """The present instant by this clock, aware, UTC."""
        return self._clock.now() + self.ahead_by

    async def sleep(self, seconds: float) -> None:
        """Return after at least so many seconds."""
        await self._clock.sleep(seconds)
