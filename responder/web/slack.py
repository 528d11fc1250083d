"""POST /slack/interactions: a click on a button, believed only with Slack's signature on it.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack/
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import structlog
from aiohttp import web
from pydantic import SecretStr
from pydantic_core import from_json
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from responder.clock import Clock
from responder.errors import ResponderError
from responder.web.body import read_body
from responder.web.ports import InteractionReceiver

log = structlog.get_logger(__name__)

# Slack shows the person an error after 3 s; what remains is for the way here and back.
# Source: https://docs.slack.dev/interactivity/handling-user-interaction/
_RECEIVE_SECONDS = 2.5
_MAX_FIELDS = 16


class SlackInteractions:
    """The handler of interactions."""

    def __init__(
        self,
        interactions: InteractionReceiver,
        clock: Clock,
        *,
        signing_secret: SecretStr,
        max_body_bytes: int,
    ) -> None:
        self._interactions = interactions
        self._verifier = SignatureVerifier(signing_secret.get_secret_value(), _SlackClock(clock))
        self._max_body_bytes = max_body_bytes

    async def post(self, request: web.Request) -> web.Response:
        """Pass one click on: 200 when it is written down; anything else shows the person that it was not."""
        body = await read_body(request, self._max_body_bytes)
        if body is None:
            return _refusal(413, "BodyTooLarge", f"the body is larger than {self._max_body_bytes} bytes")
        if not self._signed(request, body):
            return _refusal(401, "Unauthorized", "the signature is missing, wrong or older than 5 minutes")
        payload = _parse_payload(body)
        if payload is None:
            return _refusal(
                400, "MalformedPayload", "the form has no single payload field with a JSON object"
            )
        if payload.get("type") != "block_actions":
            return _refusal(422, "UnknownInteraction", "only block_actions are taken")
        try:
            async with asyncio.timeout(_RECEIVE_SECONDS):
                await self._interactions.receive(payload)
        except (ResponderError, TimeoutError) as error:
            message = str(error) or f"it could not be written down within {_RECEIVE_SECONDS} s"
            log.error("slack_interaction_lost", reason=type(error).__name__, message=message)
            return _refusal(503, type(error).__name__, "the answer is not written down; click again")
        return web.Response()

    def _signed(self, request: web.Request, body: bytes) -> bool:
        try:
            return self._verifier.is_valid(
                body,
                request.headers.get("X-Slack-Request-Timestamp"),
                request.headers.get("X-Slack-Signature"),
            )
        except Exception as error:  # noqa: BLE001 - hostile headers and bodies raise all sorts; none is a signature
            log.warning("slack_signature_unreadable", error=type(error).__name__)
            return False


class _SlackClock(SignatureClock):
    """Our clock as slack-sdk reads it, so that the replay window is measured on it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


def _parse_payload(body: bytes) -> Mapping[str, Any] | None:
    try:
        fields = parse_qs(body.decode(), strict_parsing=True, max_num_fields=_MAX_FIELDS)
        (payload,) = fields["payload"]
        content = from_json(payload, allow_inf_nan=False)
    except (ValueError, KeyError):
        return None
    return content if isinstance(content, dict) else None


def _refusal(status: int, reason: str, message: str) -> web.Response:
    log.warning("slack_interaction_refused", status=status, reason=reason)
    return web.json_response({"reason": reason, "message": message}, status=status)
