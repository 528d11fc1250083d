"""The only source of wall-clock time and of waiting.

Everything else takes a Clock as an argument, so that tests can drive time. Monotonic time is the event
loop's own (`asyncio.get_running_loop().time()`), which the tests' loop drives as well.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after at least so many seconds (0 yields to the event loop once)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may

    async def sleep(self, seconds: float) -> None:
        """Return after at least so many seconds."""
        await asyncio.sleep(seconds)  # noqa: TID251 - the one place that may
