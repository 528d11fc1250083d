"""What Prometheus says while a story runs: the rule's metric, and when its alerts became active.

Reads Prometheus' HTTP API, as anybody could. For the screen and the record; no judgement rests on it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from responder.clock import Clock
from responder.rules.model import Metric, RuleFile
from responder.rules.promql import render

_EVERY_SECONDS = 0.5
_ANSWER_SECONDS = 2.0
_MOST_READINGS = 1_000


@dataclass(frozen=True, slots=True)
class Reading:
    """The metric at an instant; None where it has no value."""

    at: datetime
    value: float | None


class Probe:
    """Asks Prometheus twice a second."""

    def __init__(self, prometheus_url: str, file: RuleFile, metric: Metric, clock: Clock) -> None:
        self._url = prometheus_url
        self._query = render(metric.query, file.selector, range=metric.range, quantile=metric.quantile)
        self._clock = clock
        self.readings: deque[Reading] = deque(maxlen=_MOST_READINGS)
        self.active_from: dict[str, datetime] = {}
        """By alert name, when its condition first became true."""

    async def run(self) -> None:
        """Ask until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS)) as session:
            while True:
                answer = await self._get(session, "query", query=self._query)
                self.readings.append(Reading(self._clock.now(), _single_value(answer)))
                alerts = await self._get(session, "alerts")
                for alert in alerts.get("alerts", ()):
                    at = datetime.fromisoformat(alert["activeAt"])
                    self.active_from.setdefault(alert["labels"]["alertname"], at)
                await self._clock.sleep(_EVERY_SECONDS)

    async def _get(self, session: aiohttp.ClientSession, what: str, **parameters: str) -> dict[str, Any]:
        """The data of an answer; empty where none came, which shows as a gap in the line."""
        try:
            async with session.get(f"{self._url}/api/v1/{what}", params=parameters) as response:
                body = await response.json()
        except (aiohttp.ClientError, TimeoutError):
            return {}
        data: dict[str, Any] = body.get("data") or {}
        return data


def _single_value(data: dict[str, Any]) -> float | None:
    result = data.get("result") or []
    value = float(result[0]["value"][1]) if len(result) == 1 else math.nan
    return value if math.isfinite(value) else None
