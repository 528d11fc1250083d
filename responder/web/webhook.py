"""POST /webhooks/alertmanager: check, parse, hand over, and answer only for what is durably written.

A refusal is answered, counted, logged and told to people: Alertmanager does not send again after a 4xx.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping

import structlog
from aiohttp import web
from pydantic import SecretStr

from responder.alerts.model import AlertGroup
from responder.alerts.parse import Refusal, WebhookError, parse_webhook
from responder.errors import ResponderError, Temporary
from responder.telemetry import Metrics
from responder.web.body import read_body
from responder.web.ports import Receipt, WebhookReceiver

log = structlog.get_logger(__name__)

# A bound for the worst case only: Alertmanager itself gives up after its group_interval.
_RECEIVE_SECONDS = 30
_RETRY_AFTER_SECONDS = 5


class AlertmanagerWebhook:
    """The webhook's handler."""

    def __init__(
        self,
        intake: WebhookReceiver,
        metrics: Metrics,
        *,
        token: SecretStr,
        max_body_bytes: int,
        max_alerts: int,
        receiver: str | None,
    ) -> None:
        self._intake = intake
        self._metrics = metrics
        self._token = token
        self._max_body_bytes = max_body_bytes
        self._max_alerts = max_alerts
        self._receiver = receiver

    async def post(self, request: web.Request) -> web.Response:
        """Take one delivery in: 200 when it is written down, 503 to have it sent again, 4xx for never."""
        try:
            self._authenticate(request)
            # Beyond what can be taken in, a storm's deliveries cost as good as nothing.
            self._intake.check_room()
            group = await self._read_group(request)
        except WebhookError as error:
            return await self._refuse(error, peer=request.remote or "unknown")
        except ResponderError as error:
            return self._ask_again(error)
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_RECEIVE_SECONDS):
                receipt = await self._intake.receive(group)
        except (ResponderError, TimeoutError) as error:
            return self._ask_again(error)
        self._metrics.step_seconds.labels("intake").observe(asyncio.get_running_loop().time() - started)
        if group.truncated_alerts:
            await self._tell_of_truncation(group, peer=request.remote or "unknown")
        if self._receiver not in (None, group.receiver):
            await self._tell_of_receiver(group, peer=request.remote or "unknown")
        if receipt.refused:
            await self._tell_of_refused(receipt, peer=request.remote or "unknown")
        return self._acknowledge(group, receipt)

    def _authenticate(self, request: web.Request) -> None:
        # Before the body is read, so that strangers cost nothing. Bytes, as compare_digest refuses some text.
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        expected = self._token.get_secret_value().encode()
        known = hmac.compare_digest(shown.strip().encode(errors="surrogateescape"), expected)
        if scheme.lower() != "bearer" or not known:
            raise WebhookError(
                Refusal.UNAUTHORIZED,
                "no valid bearer token; set http_config.authorization of the receiver in alertmanager.yml",
                401,
            )

    async def _read_group(self, request: web.Request) -> AlertGroup:
        if request.content_type != "application/json":
            raise WebhookError(
                Refusal.UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json", 415
            )
        body = await read_body(request, self._max_body_bytes)
        if body is None:
            raise WebhookError(
                Refusal.BODY_TOO_LARGE,
                f"the body is larger than {self._max_body_bytes} bytes; group alerts by workload, or raise"
                " RESPONDER_MAX_BODY_BYTES",
                413,
            )
        return parse_webhook(body, max_alerts=self._max_alerts)

    async def _refuse(self, error: WebhookError, *, peer: str) -> web.Response:
        self._metrics.webhooks.labels("refused", error.reason).inc()
        log.warning("webhook_refused", reason=error.reason, message=error.message, peer=peer)
        await self._tell(error.reason, error.message, peer)
        headers = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else {}
        return _answer(error.reason, error.message, error.http_status, headers)

    def _ask_again(self, error: ResponderError | TimeoutError) -> web.Response:
        """503, also for an error that is no passing one: Alertmanager drops what gets a 4xx, we never do."""
        reason = type(error).__name__
        self._metrics.webhooks.labels("unavailable", reason).inc()
        message = str(error) or f"the alerts could not be written down within {_RECEIVE_SECONDS} s"
        log.error("webhook_not_taken_in", reason=reason, message=message)
        wish = error.retry_after_seconds if isinstance(error, Temporary) else None
        seconds = max(1, round(wish if wish is not None else _RETRY_AFTER_SECONDS))
        return _answer(
            reason, "the alerts are not written down; send them again", 503, {"Retry-After": str(seconds)}
        )

    async def _tell_of_truncation(self, group: AlertGroup, *, peer: str) -> None:
        self._metrics.alerts_refused.labels("Truncated").inc(group.truncated_alerts)
        message = (
            f"Alertmanager left {group.truncated_alerts} alerts out of a delivery to receiver"
            f" {group.receiver!r}; set max_alerts: 0 in its webhook_config"
        )
        log.warning("webhook_truncated", count=group.truncated_alerts, receiver=group.receiver, peer=peer)
        await self._tell("Truncated", message, peer)

    async def _tell_of_receiver(self, group: AlertGroup, *, peer: str) -> None:
        """What fires now is asked by the receiver's name: with a wrong one no rollback is ever automatic."""
        self._metrics.webhooks.labels("accepted", "ReceiverMismatch").inc()
        given = group.receiver[:100]
        log.warning("webhook_receiver_differs", receiver=given, expected=self._receiver, peer=peer)
        message = (
            f"they came for the receiver {given!r}, while RESPONDER_RECEIVER is {self._receiver!r}:"
            " asked by that name, Alertmanager says that nothing fires, and every automatic rollback is held"
            f" with NoAlertFires; set RESPONDER_RECEIVER to {given!r}"
        )
        await self._tell("ReceiverMismatch", message, peer)

    async def _tell_of_refused(self, receipt: Receipt, *, peer: str) -> None:
        """Alertmanager hears 200 for the delivery and does not send again what was refused of it."""
        for reason in sorted({alert.reason for alert in receipt.refused}):
            names = [alert.fingerprint for alert in receipt.refused if alert.reason == reason]
            message = f"{len(names)} alerts of a delivery were not written down, the first: {names[0][:100]}"
            log.warning("alerts_refused", reason=reason, count=len(names), peer=peer)
            await self._tell(reason, message, peer)

    async def _tell(self, reason: str, message: str, peer: str) -> None:
        try:
            async with asyncio.timeout(_RECEIVE_SECONDS):
                await self._intake.refused(reason, message, peer)
        except (ResponderError, TimeoutError) as error:
            # The answer to the sender must not hang on it; the log and the metric have it already.
            log.error("webhook_refusal_not_told", reason=reason, error=str(error) or type(error).__name__)

    def _acknowledge(self, group: AlertGroup, receipt: Receipt) -> web.Response:
        self._metrics.webhooks.labels("accepted", "").inc()
        for alert in group.alerts:
            self._metrics.alerts.labels("firing" if alert.firing else "resolved").inc()
        for refused in receipt.refused:
            self._metrics.alerts_refused.labels(refused.reason).inc()
        return web.json_response(
            {
                "accepted": receipt.accepted,
                "held": receipt.held,
                "refused": [
                    {"fingerprint": refused.fingerprint, "reason": refused.reason}
                    for refused in receipt.refused
                ],
            }
        )


def _answer(reason: str, message: str, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.json_response({"reason": reason, "message": message}, status=status, headers=headers)
