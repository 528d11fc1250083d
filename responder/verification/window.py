"""The hold window: since when the claim has held without a change, and why it began anew. No waiting here.

All times are seconds on the event loop's clock: a step of the wall clock must not make a window shorter.
"""

from __future__ import annotations

from datetime import timedelta

from responder.verification.signature import Signature


class Window:
    """One proof's hold window. `since` is None while it is not open."""

    def __init__(self) -> None:
        self.since: float | None = None
        self._length_seconds = 0.0
        self._signature: Signature | None = None
        self._restarts = 0
        self._why = ""

    @property
    def end(self) -> float | None:
        """When it will have held long enough; None while it is not open."""
        return None if self.since is None else self.since + self._length_seconds

    def holds(self, signature: Signature, length: timedelta, *, began: float, now: float) -> bool:
        """Take in a good look that began at `began` and ended `now`; True when the window is complete.

        The window opens at the end of its first look and closes with one that began after its length, so that
        the claim held at least so long between them.
        """
        if self._signature != signature:
            self.restart("Something changed between two looks.")
        if self.since is None:
            self.since, self._length_seconds, self._signature = now, length.total_seconds(), signature
            return False
        return began >= self.since + self._length_seconds

    def restart(self, why: str) -> None:
        """Forget what has held so far, if anything has."""
        if self.since is not None:
            self._restarts += 1
            self._why = why
        self.since = self._signature = None

    def describe(self, now: float) -> str:
        """How far it is, for a person."""
        anew = (
            f" It began anew {self._restarts} times; the last reason: {self._why}" if self._restarts else ""
        )
        if self.since is None:
            return f"The target revision serves all traffic, but has not done so undisturbed yet.{anew}"
        return (
            f"The target revision has served all traffic for {now - self.since:.0f} s of the"
            f" {self._length_seconds:.0f} s for which that has to hold.{anew}"
        )
