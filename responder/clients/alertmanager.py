"""What an Alertmanager holds now, for the reconcile: the same Alert that its webhook brings.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import aiohttp
from yarl import URL

from responder.alerts.model import Alert
from responder.alerts.parse import WebhookError, parse_api_alerts
from responder.clients.http import describe, fetch, shown
from responder.errors import Permanent, Temporary

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MAX_BYTES = 32 * 1024 * 1024


class AlertmanagerUnavailable(Temporary):
    """The Alertmanager could not be reached, or what answered is none."""


class AlertmanagerRefused(Permanent):
    """The Alertmanager does not accept the question."""


class Alertmanager:
    """One Alertmanager; of a cluster each member is asked by itself."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self._base_url = URL(base_url)
        self._session = session

    @property
    def name(self) -> str:
        """Its address, as it may be shown."""
        return shown(self._base_url)

    async def list_alerts(self, receiver: str) -> list[Alert]:
        """The firing alerts routed to a receiver (a regular expression, anchored), not silenced or inhibited.

        Raises AlertmanagerUnavailable, AlertmanagerRefused.
        """
        parameters = {"active": "true", "silenced": "false", "inhibited": "false", "receiver": receiver}
        try:
            answer = await fetch(
                self._session,
                self._base_url / "api/v2/alerts",
                parameters,
                timeout=_TIMEOUT,
                max_bytes=_MAX_BYTES,
            )
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unavailable(describe(error)) from error
        if answer.status >= 500:
            raise self._unavailable(f"HTTP {answer.status}")
        if answer.status != 200:
            text = answer.body.decode(errors="replace").strip()[:200]
            raise AlertmanagerRefused(
                f"Alertmanager at {self.name} refuses to list alerts: HTTP {answer.status} {text};"
                " check RESPONDER_ALERTMANAGER_URLS and RESPONDER_RECEIVER"
            )
        try:
            return list(parse_api_alerts(answer.body))
        except WebhookError as error:
            raise self._unavailable(f"its answer is no list of alerts: {error.message}") from error

    def _unavailable(self, why: str) -> AlertmanagerUnavailable:
        return AlertmanagerUnavailable(f"Alertmanager at {self.name} gives no answer: {why}")
