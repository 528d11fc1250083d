"""How fast one may speak to a place: so far apart, in order of arrival, and not before the other side's wish.

In memory only: what is not yet said shows in the incidents themselves. Used by notify.
"""

from __future__ import annotations

from datetime import datetime, timedelta


class Pace:
    """Gives out turns. Whoever has to wait comes back at the time it is told."""

    def __init__(self, gap: timedelta) -> None:
        self._gap = gap
        self._held_until: datetime | None = None
        self._free_at: dict[str, datetime] = {}
        self._turns: dict[tuple[str, str], datetime] = {}

    def hold(self, until: datetime) -> None:
        """Let nobody speak to any place before then."""
        self._held_until = max(until, self._held_until or until)

    def earliest(self, now: datetime) -> datetime:
        """When somebody may speak at all: `now`, or when the other side's wish ends."""
        return max(now, self._held_until or now)

    def claim(self, place: str, who: str, now: datetime) -> datetime:
        """`now` when it is this one's turn, which it then has used; else when to come back."""
        turn_at = max(self._turns.pop((place, who), self._free_at.get(place, now)), self.earliest(now))
        if turn_at > now:
            self._turns[place, who] = turn_at
        self._free_at[place] = max(turn_at + self._gap, self._free_at.get(place, now))
        return turn_at

    def give_back(self, who: str) -> None:
        """Let this one's turns go: it has nothing to say any more."""
        for turn in [turn for turn in self._turns if turn[1] == who]:
            del self._turns[turn]
