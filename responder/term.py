"""A term of leadership: the right to act, for as long as a Lease is surely ours.

Counted on the event loop's monotonic clock, which nobody sets back. Extended by pipeline/elect.py alone;
checked before every write by whoever acts in it.
"""

from __future__ import annotations

import asyncio

from responder.errors import Temporary


class TermOver(Temporary):
    """The Lease may be somebody else's by now: nothing may be written any more."""


class Term:
    """The right to act until an instant of the loop's clock, moved on with each renewal."""

    def __init__(self, until_seconds: float) -> None:
        self._until_seconds = until_seconds

    @property
    def left_seconds(self) -> float:
        """How much longer the term lasts; never below 0."""
        return max(0.0, self._until_seconds - asyncio.get_running_loop().time())

    def extend(self, until_seconds: float) -> None:
        """Let the term last until that instant of the loop's clock; never shortens it."""
        self._until_seconds = max(self._until_seconds, until_seconds)

    def end(self) -> None:
        """Let nothing be written from now on."""
        self._until_seconds = asyncio.get_running_loop().time()

    def check(self) -> None:
        """Return while the term lasts; afterwards raise TermOver."""
        if self.left_seconds <= 0:
            raise TermOver("This replica's term of leadership is over: another one may act already.")
