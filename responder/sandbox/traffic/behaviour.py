"""How a pod answers requests, as its annotations say. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from responder.errors import ResponderError

ERROR_RATE = "sandbox.responder.dev/error-rate"
LATENCY_P95 = "sandbox.responder.dev/latency-p95"

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_TAIL = -math.log(0.05)
"""An exponential latency passes its p95 at so many times its mean."""


class BehaviourError(ResponderError):
    """A pod's annotation can't be read."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The share of requests that fail (0 to 1) and the latency that 95% of them stay below."""

    error_rate: float = 0.0
    latency_p95_seconds: float = 0.12

    @property
    def latency_mean_seconds(self) -> float:
        """The mean of the latencies, which are distributed exponentially."""
        return self.latency_p95_seconds / _TAIL

    def share_within(self, seconds: float) -> float:
        """The share of requests answered within so many seconds."""
        return 1.0 - math.exp(-seconds / self.latency_mean_seconds)


@lru_cache(maxsize=256)
def parse_behaviour(error_rate: str | None, latency_p95: str | None) -> Behaviour:
    """Read the two annotations; an absent one leaves the default. Raises BehaviourError."""
    default = Behaviour()
    return Behaviour(
        default.error_rate if error_rate is None else _share(error_rate),
        default.latency_p95_seconds if latency_p95 is None else _seconds(latency_p95),
    )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise BehaviourError(
            f'annotation {ERROR_RATE} is "{text}": write a share from 0 to 1, such as "0.05"'
        )
    return share


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if seconds <= 0:
        raise BehaviourError(
            f'annotation {LATENCY_P95} is "{text}": write a duration such as "120ms" or "4s"'
        )
    return seconds
