"""What a Slack workspace holds: messages with their edits, texts for one user, ways to answer clicks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

TEAM_ID = "T0SANDBOX"
BOT_USER_ID = "U0RESPONDER"
BOT_ID = "B0RESPONDER"
APP_ID = "A0RESPONDER"

RESPONSE_URL_USES = 5


@dataclass(frozen=True, slots=True)
class Content:
    """What a message said from an instant on."""

    text: str
    blocks: tuple[Mapping[str, Any], ...]
    at: datetime


@dataclass(slots=True)
class Message:
    """A message with its edit history, oldest first."""

    channel: str
    ts: str
    thread_ts: str | None
    metadata: Mapping[str, Any] | None
    versions: list[Content]

    @property
    def current(self) -> Content:
        """What it says now."""
        return self.versions[-1]

    def render(self, *, with_metadata: bool) -> dict[str, Any]:
        """The message as Slack's API shows it."""
        shown: dict[str, Any] = {
            "type": "message",
            "subtype": "bot_message",
            "ts": self.ts,
            "text": self.current.text,
            "blocks": list(self.current.blocks),
            "bot_id": BOT_ID,
            "app_id": APP_ID,
        }
        if self.thread_ts is not None:
            shown["thread_ts"] = self.thread_ts
        if with_metadata and self.metadata is not None:
            shown["metadata"] = dict(self.metadata)
        return shown


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """A text that only one user sees."""

    channel: str
    user: str
    text: str
    at: datetime


@dataclass(slots=True)
class ResponseUrl:
    """Where a click may be answered, five times within half an hour."""

    message: Message
    user: str
    until: datetime
    uses_left: int = RESPONSE_URL_USES
