"""One webhook call: the version 4 payload, and delivery with retries until the flush's time is over.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; Alertmanager 0.25
notify/webhook/webhook.go, notify/notify.go (RetryStage).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import aiohttp

from responder.clock import Clock
from responder.sandbox.alertmanager.alerts import Alert, webhook_alert
from responder.sandbox.alertmanager.routing import Receiver
from responder.sandbox.prometheus.labels import Labels

FIRST_RETRY_SECONDS = 0.5
RETRY_FACTOR = 1.5
MAX_RETRY_SECONDS = 60.0


def render_payload(
    receiver: Receiver,
    *,
    group_key: str,
    group_labels: Labels,
    alerts: Sequence[Alert],
    external_url: str,
    now: datetime,
) -> dict[str, Any]:
    """The payload for these alerts, of which at most `receiver.max_alerts` go along (0: all)."""
    truncated = max(0, len(alerts) - receiver.max_alerts) if receiver.max_alerts else 0
    kept = alerts[: len(alerts) - truncated]
    return {
        "receiver": receiver.name,
        "status": "resolved" if all(alert.resolved_at(now) for alert in kept) else "firing",
        "alerts": [webhook_alert(alert, now) for alert in kept],
        "groupLabels": dict(group_labels),
        "commonLabels": _common([dict(alert.labels) for alert in kept]),
        "commonAnnotations": _common([alert.annotations for alert in kept]),
        "externalURL": external_url,
        "version": "4",
        "groupKey": group_key,
        "truncatedAlerts": truncated,
    }


def _common(maps: list[dict[str, str]]) -> dict[str, str]:
    first, *rest = maps
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in rest)}


async def post_until_taken(
    session: aiohttp.ClientSession, clock: Clock, receiver: Receiver, payload: dict[str, Any]
) -> bool:
    """Post until a 2xx (True) or an answer that is not worth a retry (False).

    5xx and broken connections are retried with growing pauses, without end: the caller sets the time limit.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.25.0"}
    if receiver.token:
        headers["Authorization"] = f"Bearer {receiver.token}"
    body = json.dumps(payload).encode()
    pause = FIRST_RETRY_SECONDS
    while True:
        status = await _post(session, receiver.url, body, headers)
        if status is not None and status // 100 == 2:
            return True
        if status is not None and status // 100 != 5:
            return False
        await clock.sleep(pause)
        pause = min(pause * RETRY_FACTOR, MAX_RETRY_SECONDS)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]) -> int | None:
    """The status, or None when there was no answer."""
    try:
        async with session.post(url, data=body, headers=headers) as response:
            return response.status
    except aiohttp.ClientError:
        return None
