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
        self._spoken_at: dict[str, datetime] = {}
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
        turn_at = self._turns.pop((place, who), None)
        if turn_at is not None and turn_at > now:
            self._turns[place, who] = turn_at
            return max(turn_at, self.earliest(now))
        due_at = self._due_at(place, now)
        if turn_at is None or due_at > now:
            # New here, or others came late and took this turn: to the end of the queue.
            turn_at = max(due_at, self._free_at.get(place, now))
            self._free_at[place] = turn_at + self._gap
        if turn_at > now:
            self._turns[place, who] = turn_at
            return turn_at
        self._spoken_at[place] = now
        return now

    def claim_first(self, place: str, now: datetime) -> datetime:
        """As `claim`, past everybody who waits."""
        due_at = self._due_at(place, now)
        if due_at <= now:
            self._spoken_at[place] = now
        return due_at

    def give_back(self, who: str) -> None:
        """Let this one's turns go: it has nothing to say any more."""
        for turn in [turn for turn in self._turns if turn[1] == who]:
            del self._turns[turn]

    def _due_at(self, place: str, now: datetime) -> datetime:
        """When the place may be spoken to again at the earliest; never before `now`."""
        spoken_at = self._spoken_at.get(place)
        return self.earliest(now if spoken_at is None else max(now, spoken_at + self._gap))
