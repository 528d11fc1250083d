"""How often something may be asked for: so many times in a sliding window.

Used by the inboxes, which know the limits and the words.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from datetime import datetime, timedelta


class RateLimit:
    """At most count requests of a key in any window."""

    def __init__(self, count: int, window: timedelta) -> None:
        """count is at least 1."""
        self._count = count
        self._window = window
        self._taken_at: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def take(self, key: str, now: datetime) -> int:
        """Count a request and return 0, or the whole seconds to wait when it is one too many."""
        taken_at = self._taken_at[key]
        while taken_at and taken_at[0] + self._window <= now:
            taken_at.popleft()
        if len(taken_at) >= self._count:
            return math.ceil((taken_at[0] + self._window - now).total_seconds())
        taken_at.append(now)
        return 0
