"""The hold window: since when the claim has held without a change, and why it began anew. No waiting here."""

from __future__ import annotations

from datetime import datetime, timedelta

from responder.verification.signature import Signature


class Window:
    """One proof's hold window. `since` is None while it is not open."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self._length = timedelta()
        self._signature: Signature | None = None
        self._restarts = 0
        self._why = ""

    @property
    def ends_at(self) -> datetime | None:
        """When it will have held long enough; None while it is not open."""
        return None if self.since is None else self.since + self._length

    def holds(self, signature: Signature, length: timedelta, *, began_at: datetime, now: datetime) -> bool:
        """Take in a good look that began at `began_at` and ended `now`; True when the window is complete.

        The window opens at the end of its first look and closes with one that began after its length, so that
        the claim held at least so long between them.
        """
        if self._signature != signature:
            self.restart("Something changed between two looks.")
        if self.since is None:
            self.since, self._length, self._signature = now, length, signature
            return False
        return began_at >= self.since + self._length

    def restart(self, why: str) -> None:
        """Forget what has held so far, if anything has."""
        if self.since is not None:
            self._restarts += 1
            self._why = why
        self.since = self._signature = None

    def describe(self, now: datetime) -> str:
        """How far it is, for a person."""
        anew = (
            f" It began anew {self._restarts} times; the last reason: {self._why}" if self._restarts else ""
        )
        if self.since is None:
            return f"The target revision serves all traffic, but has not done so undisturbed yet.{anew}"
        held_seconds = (now - self.since).total_seconds()
        return (
            f"The target revision has served all traffic for {held_seconds:.0f} s of the"
            f" {self._length.total_seconds():.0f} s for which that has to hold.{anew}"
        )
