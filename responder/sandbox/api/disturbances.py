"""What can befall the API server as a whole, at a moment: pure descriptions.

The server makes them happen, fault_plan.py draws them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ExpireWatches:
    """Watches whose path with query matches are told that their version is too old (410), and end."""

    at: datetime
    path: str = ""


@dataclass(frozen=True, slots=True)
class LoseHistory:
    """All history is compacted: who watches or pages on from an earlier version gets 410."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Restart:
    """Every connection breaks, none is served for a while, and the history before is lost; objects stay."""

    at: datetime
    down_seconds: float


@dataclass(frozen=True, slots=True)
class SkewClock:
    """The server's own clock, which stamps what it writes, is ahead by so many seconds from then on."""

    at: datetime
    seconds: float


Disturbance = ExpireWatches | LoseHistory | Restart | SkewClock
