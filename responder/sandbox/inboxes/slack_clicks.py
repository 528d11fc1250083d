"""Presses buttons in the Slack inbox: builds the interaction that Slack sends, signs it and delivers it.

Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

from responder.sandbox.inboxes.slack import SlackInbox
from responder.sandbox.inboxes.slack_messages import APP_ID, TEAM_ID, Content, Message

# Past this Slack shows the user an error. Source: https://docs.slack.dev/interactivity/handling-user-interaction/
_ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SlackUser:
    """Somebody in the workspace."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ClickResult:
    """How the app answered; `status` is None where nothing came within 3 s."""

    status: int | None
    seconds: float

    @property
    def taken(self) -> bool:
        """Whether the user saw no error."""
        return self.status == 200


@dataclass(frozen=True, slots=True)
class SlackHands:
    """Clicks for users, and sends the app what Slack would."""

    inbox: SlackInbox
    signing_secret: str
    interactions_url: str

    async def click(
        self, message: Message, action_id: str, user: SlackUser, *, version: int = -1
    ) -> ClickResult:
        """Press a button; `version` tells which of the message's versions the user still has on screen.

        Raises LookupError when that version shows no such button.
        """
        return await self.deliver(self.payload(message, action_id, user, version=version))

    def payload(
        self, message: Message, action_id: str, user: SlackUser, *, version: int = -1
    ) -> dict[str, Any]:
        """The interaction payload of a click. Raises LookupError."""
        at = self.inbox.clock.now().timestamp()
        block_id, button = _find_button(message.versions[version], action_id)
        shown = {key: button[key] for key in ("type", "action_id", "text", "value", "style") if key in button}
        return {
            "type": "block_actions",
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID},
            "api_app_id": APP_ID,
            "container": {
                "type": "message",
                "message_ts": message.ts,
                "channel_id": message.channel,
                "is_ephemeral": False,
            },
            "trigger_id": f"{int(at)}.1.sandbox",
            "team": {"id": TEAM_ID, "domain": "sandbox"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": message.channel, "name": self._channel_name(message.channel)},
            "message": message.render(with_metadata=False),
            "state": {"values": {}},
            "response_url": self.inbox.open_response_url(message, user.id),
            "actions": [{**shown, "block_id": block_id, "action_ts": f"{at:.6f}"}],
        }

    async def deliver(self, payload: Mapping[str, Any]) -> ClickResult:
        """Sign a payload now and post it to the app, once: Slack never repeats an interaction."""
        body = urlencode({"payload": json.dumps(payload)})
        timestamp = str(int(self.inbox.clock.now().timestamp()))
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign(self.signing_secret, timestamp, body),
        }
        started = asyncio.get_running_loop().time()
        status: int | None = None
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.interactions_url, data=body, headers=headers) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = None
        return ClickResult(status, asyncio.get_running_loop().time() - started)

    def _channel_name(self, channel_id: str) -> str:
        return next(name for name, each in self.inbox.channels.items() if each == channel_id)


def sign(signing_secret: str, timestamp: str, body: str) -> str:
    """Slack's signature of a request.

    Source: https://docs.slack.dev/authentication/verifying-requests-from-slack/
    """
    signed = hmac.new(signing_secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256)
    return f"v0={signed.hexdigest()}"


def buttons(content: Content) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every button a message shows, with the id of its block."""
    for index, block in enumerate(content.blocks):
        if block["type"] == "actions":
            for element in block["elements"]:
                yield block.get("block_id", f"block{index}"), element


def _find_button(content: Content, action_id: str) -> tuple[str, Mapping[str, Any]]:
    for block_id, button in buttons(content):
        if button["action_id"] == action_id:
            return block_id, button
    raise LookupError(f"the message shows no button {action_id}")
