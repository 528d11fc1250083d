"""A Slack workspace, played: the methods an app needs to post, update and find messages, as strict as Slack.

Keeps every message with all it ever said. slack_api puts HTTP on top, slack_clicks presses its buttons.
Source: https://docs.slack.dev/reference/methods
"""

from __future__ import annotations

import hmac
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from responder.clock import Clock
from responder.sandbox.api.faults import Faults
from responder.sandbox.inboxes.rate_limits import RateLimit
from responder.sandbox.inboxes.slack_checks import MAX_BLOCKS_TEXT, check_blocks, check_metadata
from responder.sandbox.inboxes.slack_messages import (
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    Content,
    Ephemeral,
    Message,
    ResponseUrl,
)

Answer = dict[str, Any]

_MAX_TEXT = 40_000
_MAX_MESSAGES = 10_000
_RESPONSE_URL_LIFE = timedelta(minutes=30)


def _tiers() -> dict[str, RateLimit]:
    """Calls a minute by method. Source: https://docs.slack.dev/apis/web-api/rate-limits (tiers 2 and 3)."""
    tiers = {"chat.update": 50, "conversations.history": 50, "conversations.list": 20}
    return {method: RateLimit(calls, timedelta(minutes=1)) for method, calls in tiers.items()}


class SlackError(Exception):
    """A method's refusal: Slack's word for it, and what else its answer carries."""

    def __init__(self, error: str, status: int = 200, headers: Mapping[str, str] | None = None, **more: Any):
        super().__init__(error)
        self.status = status
        self.headers = headers or {}
        self.body = {"ok": False, "error": error, **more}


@dataclass(slots=True)
class SlackInbox:
    """One workspace with its channels (name to id) and one installed app.

    Faults: add to `faults`; put a method into `errors` to have it refused with that error; set `limits_rate`
    to have refused with 429 what Slack refuses so: more than one message a second and channel, and more calls
    of another method in a minute than its tier has; take a channel out of `joined`.
    """

    clock: Clock
    token: str = "xoxb-sandbox"
    channels: dict[str, str] = field(
        default_factory=lambda: {"payments": "C0PAYMENTS", "alerts": "C0ALERTS00"}
    )
    limits_rate: bool = False
    public_url: str = ""
    messages: list[Message] = field(default_factory=list)
    ephemerals: list[Ephemeral] = field(default_factory=list)
    response_urls: dict[str, ResponseUrl] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    calls: deque[str] = field(default_factory=lambda: deque(maxlen=10_000))
    joined: set[str] = field(init=False)
    _last_micros: int = field(default=0, init=False)
    _posts: RateLimit = field(default_factory=lambda: RateLimit(1, timedelta(seconds=1)), init=False)
    _calls: dict[str, RateLimit] = field(default_factory=_tiers, init=False)

    def __post_init__(self) -> None:
        self.joined = set(self.channels.values())

    def thread(self, message: Message) -> list[Message]:
        """The replies to a message."""
        return [each for each in self.messages if each.thread_ts == message.ts]

    def call(self, method: str, arguments: Mapping[str, Any], token: str) -> Answer:
        """Carry out a method and return its answer. Raises SlackError."""
        self.calls.append(method)
        self._authenticate(token)
        if method in self.errors:
            raise SlackError(self.errors[method])
        if method in self._calls:
            self._limit_rate(self._calls[method], method)
        match method:
            case "auth.test":
                return {"ok": True, "team_id": TEAM_ID, "user_id": BOT_USER_ID, "bot_id": BOT_ID}
            case "chat.postMessage":
                return self._post_message(arguments)
            case "chat.update":
                return self._update(arguments)
            case "chat.postEphemeral":
                return self._post_ephemeral(arguments)
            case "conversations.history":
                return self._history(arguments)
            case "conversations.list":
                listed = [{"id": channel_id, "name": name} for name, channel_id in self.channels.items()]
                return {"ok": True, "channels": listed, "response_metadata": {"next_cursor": ""}}
            case _:
                raise SlackError("unknown_method", req_method=method)

    def _authenticate(self, token: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise SlackError("invalid_auth")

    def _post_message(self, arguments: Mapping[str, Any]) -> Answer:
        channel = self._find_channel(arguments, by_name=True)
        self._limit_rate(self._posts, channel)
        content = self._read_content(arguments)
        metadata = arguments.get("metadata")
        if metadata is not None and not check_metadata(metadata):
            raise SlackError("invalid_metadata_format")
        thread_ts = arguments.get("thread_ts")
        if thread_ts is not None:
            self._find_message(channel, thread_ts, "thread_not_found")
        if len(self.messages) >= _MAX_MESSAGES:
            raise SlackError("fatal_error")
        message = Message(channel, self._next_ts(), thread_ts, metadata, [content])
        self.messages.append(message)
        return {
            "ok": True,
            "channel": channel,
            "ts": message.ts,
            "message": message.render(with_metadata=True),
        }

    def _update(self, arguments: Mapping[str, Any]) -> Answer:
        channel = self._find_channel(arguments, by_name=False)
        message = self._find_message(channel, arguments.get("ts"), "message_not_found")
        content = self._read_content(arguments, message.current)
        if arguments.get("metadata") is not None:
            message.metadata = arguments["metadata"]
        message.versions.append(content)
        return {"ok": True, "channel": channel, "ts": message.ts, "text": content.text}

    def _post_ephemeral(self, arguments: Mapping[str, Any]) -> Answer:
        channel = self._find_channel(arguments, by_name=True)
        user = arguments.get("user")
        if not isinstance(user, str) or not user:
            raise SlackError("user_not_in_channel")
        content = self._read_content(arguments)
        self.ephemerals.append(Ephemeral(channel, user, content.text, content.at))
        return {"ok": True, "message_ts": self._next_ts()}

    def _history(self, arguments: Mapping[str, Any]) -> Answer:
        channel = self._find_channel(arguments, by_name=False)
        oldest, latest = float(arguments.get("oldest", 0)), float(arguments.get("latest", "inf"))
        limit, start = int(arguments.get("limit", 100)), int(arguments.get("cursor") or 0)
        if not 1 <= limit <= 999:
            raise SlackError("invalid_limit")
        found = [
            message
            for message in reversed(self.messages)
            if message.channel == channel
            and message.thread_ts is None
            and oldest < float(message.ts) < latest
        ]
        with_metadata = str(arguments.get("include_all_metadata", "")).lower() in ("1", "true")
        shown = [each.render(with_metadata=with_metadata) for each in found[start : start + limit]]
        more = start + limit < len(found)
        return {
            "ok": True,
            "messages": shown,
            "has_more": more,
            "response_metadata": {"next_cursor": str(start + limit) if more else ""},
        }

    def _find_channel(self, arguments: Mapping[str, Any], *, by_name: bool) -> str:
        given = str(arguments.get("channel", ""))
        channel = given if given in self.channels.values() else None
        if channel is None and by_name:
            channel = self.channels.get(given.removeprefix("#"))
        if channel is None:
            raise SlackError("channel_not_found")
        if channel not in self.joined:
            raise SlackError("not_in_channel")
        return channel

    def _find_message(self, channel: str, ts: object, error: str) -> Message:
        for message in self.messages:
            if message.channel == channel and message.ts == ts:
                return message
        raise SlackError(error)

    def _read_content(self, arguments: Mapping[str, Any], before: Content | None = None) -> Content:
        text, blocks = arguments.get("text") or "", arguments.get("blocks")
        if not text and not blocks:
            raise SlackError("no_text")
        if not isinstance(text, str) or len(text) > _MAX_TEXT:
            raise SlackError("msg_too_long")
        if blocks is None:
            return Content(text, before.blocks if before is not None else (), self.clock.now())
        problems = check_blocks(blocks)
        if problems:
            raise SlackError("invalid_blocks", response_metadata={"messages": problems})
        if len(json.dumps(blocks, separators=(",", ":"), ensure_ascii=False)) > MAX_BLOCKS_TEXT:
            raise SlackError("msg_blocks_too_long")
        return Content(text, tuple(blocks), self.clock.now())

    def _limit_rate(self, limit: RateLimit, key: str) -> None:
        seconds = limit.take(key, self.clock.now())
        if self.limits_rate and seconds:
            raise SlackError("ratelimited", 429, {"Retry-After": str(seconds)})

    def _next_ts(self) -> str:
        """A message's ts: its instant, and unique."""
        micros = max(int(self.clock.now().timestamp() * 1_000_000), self._last_micros + 1)
        self._last_micros = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    def open_response_url(self, message: Message, user: str) -> str:
        """A new URL at which a click may be answered."""
        key = f"{TEAM_ID}-{len(self.response_urls) + 1}"
        self.response_urls[key] = ResponseUrl(message, user, self.clock.now() + _RESPONSE_URL_LIFE)
        return f"{self.public_url.rstrip('/')}/actions/{key}"

    def answer_click(self, key: str, body: Mapping[str, Any]) -> None:
        """Take the answer to a click. Raises SlackError."""
        target = self.response_urls.get(key)
        if target is None or self.clock.now() > target.until:
            raise SlackError("expired_url", 404)
        if target.uses_left == 0:
            raise SlackError("used_url", 404)
        content = self._read_content(body)
        target.uses_left -= 1
        if body.get("replace_original"):
            target.message.versions.append(content)
        else:
            seen = Ephemeral(target.message.channel, target.user, content.text, content.at)
            self.ephemerals.append(seen)
