"""What can befall the API server as a whole, at a moment: pure descriptions.

The server makes them happen, fault_plan.py draws them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ExpireWatches:
    """Watches whose path with query matches are told of an error inside their stream, and end.

    410: their version is too old. 500 and 504 come as well, from a storage that is in trouble.
    """

    at: datetime
    path: str = ""
    code: int = 410


@dataclass(frozen=True, slots=True)
class BreakWatches:
    """The connections of watches whose path with query matches break, without a word."""

    at: datetime
    path: str = ""


@dataclass(frozen=True, slots=True)
class HangWatches:
    """Watches that are open and whose path with query matches stay open, and tell nothing any more.

    Not even that their time is over: only who gives up on one gets a new one, which works.
    """

    at: datetime
    path: str = ""


@dataclass(frozen=True, slots=True)
class LagWatches:
    """For lasts_seconds, watches whose path with query matches tell everything so many seconds late.

    Those that are open and those that begin meanwhile, in order, as from a cache that falls behind.
    """

    at: datetime
    seconds: float
    lasts_seconds: float
    path: str = ""


@dataclass(frozen=True, slots=True)
class LoseHistory:
    """All history is compacted: who watches or pages on from an earlier version gets 410."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Restart:
    """Every connection breaks, new ones are refused for a while, and the past is forgotten; objects stay.

    Refused by the socket itself where the server listens on one of its own (ApiServer.listening).
    """

    at: datetime
    down_seconds: float


@dataclass(frozen=True, slots=True)
class SkewClock:
    """The server's own clock, which stamps what it writes, is ahead by so many seconds from then on."""

    at: datetime
    seconds: float


Disturbance = ExpireWatches | BreakWatches | HangWatches | LagWatches | LoseHistory | Restart | SkewClock
