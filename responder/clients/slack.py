"""Slack's Web API as the responder uses it: one message an incident, kept up to date, and answers to clicks.

Speaks the protocol and maps its errors; what is said and when is decided in actions/. Nothing is sent twice
in here: after a lost answer the caller looks for its message before it posts again.
Source: https://docs.slack.dev/reference/methods
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aiohttp
from pydantic import SecretStr
from yarl import URL

from responder.clients.http import describe
from responder.errors import Permanent, ResponderError, Temporary
from responder.term import Term

if TYPE_CHECKING:
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

Block = Mapping[str, Any]

METADATA_EVENT = "responder_incident"

_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_PAGE_SIZE = 200
# 2,000 messages: past that a second message in a very busy channel is the lesser evil than endless reading.
_MAX_PAGES = 10
_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{6,}")

# What a person has to do about an error. Source: https://docs.slack.dev/reference/methods/chat.postMessage
_ADVICE = {
    "not_in_channel": "invite the app: /invite it in that channel",
    "channel_not_found": "check the channel's name or id, and invite the app to it if it is private",
    "is_archived": "unarchive the channel or name another one in the rule file",
    "invalid_auth": "check the bot token (it begins with xoxb-)",
    "not_authed": "set the bot token",
    "account_inactive": "the app or its workspace was disabled: install it again and set the new token",
    "token_revoked": "install the app again and set the new token",
    "token_expired": "install the app again and set the new token",
    "missing_scope": "add the scope that Slack names to the app and install it again",
    "restricted_action": "ask a workspace owner to let apps post in that channel",
    "message_not_found": "somebody deleted the message",
}
# Refusals that pass by themselves; the first three may come after some of the work was done.
_WORTH_RETRYING = frozenset(
    {
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "ratelimited",
        "rate_limited",
    }
)


class SlackRefused(Permanent):
    """Slack says no; `error` is its own word for it, such as not_in_channel."""

    def __init__(self, message: str, error: str) -> None:
        super().__init__(message)
        self.error = error


class SlackUnavailable(Temporary):
    """No clear answer came: the request may have been carried out. Look before posting again."""


class Slack:
    """One app in one workspace. Make it inside a running event loop and close it there."""

    def __init__(self, token: SecretStr, api_url: str) -> None:
        # Imported only for those who use Slack: it takes a tenth of the start.
        from slack_sdk.web.async_client import AsyncWebClient

        self._api_url = api_url
        # trust_env honours NO_PROXY, which the library's own reading of the proxy variables does not.
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=True)
        # No retry handlers: the default one posts a second message after a dropped connection, and the one
        # for rate limits would wait inside the call for as long as Slack likes.
        self._client = AsyncWebClient(
            token.get_secret_value(), base_url=api_url, session=self._session, retry_handlers=[]
        )
        self._client.proxy = None
        self._channel_ids: dict[str, str] = {}
        self._term: Term | None = None

    def during(self, term: Term) -> Slack:
        """The same app, where no message is written beyond the term: that then raises TermOver."""
        bound = copy(self)
        bound._term = term
        return bound

    async def close(self) -> None:
        """End the connections."""
        await self._session.close()

    async def post(
        self, channel: str, blocks: Sequence[Block], text: str, *, incident_uid: str
    ) -> tuple[str, str]:
        """Post a message marked with the incident and return its channel id and ts.

        `channel` is a name or an id. Raises SlackRefused, SlackUnavailable.
        """
        self._check_term()
        metadata = {"event_type": METADATA_EVENT, "event_payload": {"incident_uid": incident_uid}}
        answer = await _call(
            f"post to {channel}",
            self._client.chat_postMessage(
                channel=channel,
                blocks=[dict(block) for block in blocks],
                text=text,
                metadata=metadata,
                unfurl_links=False,
                unfurl_media=False,
            ),
        )
        return str(answer["channel"]), str(answer["ts"])

    async def update(self, channel: str, ts: str, blocks: Sequence[Block], text: str) -> None:
        """Replace what a message says. `channel` is an id. Safe to repeat. Raises as post does."""
        self._check_term()
        await _call(
            f"update a message in {channel}",
            self._client.chat_update(
                channel=channel, ts=ts, blocks=[dict(block) for block in blocks], text=text
            ),
        )

    async def reply(self, channel: str, ts: str, text: str) -> None:
        """Post a text into the thread of a message. `channel` is an id. Raises as post does."""
        self._check_term()
        await _call(
            f"reply in {channel}",
            self._client.chat_postMessage(channel=channel, thread_ts=ts, text=text, unfurl_links=False),
        )

    async def find_by_metadata(
        self, channel: str, incident_uid: str, since: datetime
    ) -> tuple[str, str] | None:
        """The channel id and ts of the message that post marked with this incident, or None.

        Reads at most 2,000 messages back to `since`. Raises SlackRefused (for instance without the scope
        to read the channel) and SlackUnavailable.
        """
        channel_id = await self._find_channel(channel)
        cursor: str | None = None
        for _page in range(_MAX_PAGES):
            answer = await _call(
                f"read the history of {channel}",
                self._client.conversations_history(
                    channel=channel_id,
                    oldest=f"{since.timestamp():.6f}",
                    include_all_metadata=True,
                    limit=_PAGE_SIZE,
                    cursor=cursor,
                ),
            )
            for message in answer.get("messages") or []:
                if _incident_of(message) == incident_uid:
                    return channel_id, str(message["ts"])
            cursor = _next_cursor(answer)
            if cursor is None:
                return None
        return None

    async def answer_click(self, response_url: str, text: str) -> None:
        """Tell the one who clicked, and nobody else, through the URL that came with the click.

        Goes only to Slack's own host for such answers: the URL arrives from outside. Raises SlackRefused,
        SlackUnavailable.
        """
        url = parse_response_url(response_url, self._api_url)
        body = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            async with self._session.post(url, json=body, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SlackUnavailable(
                f"Slack: the answer to a click did not arrive: {describe(error)}"
            ) from error
        if status != 200:
            raise SlackRefused(f"Slack: the answer to a click was refused with {status}", f"http_{status}")

    def _check_term(self) -> None:
        """Right before each write, however long what came before it took."""
        if self._term is not None:
            self._term.check()

    async def _find_channel(self, channel: str) -> str:
        """The id of a channel: history can be read by id only, while posting takes a name as well."""
        if _CHANNEL_ID.fullmatch(channel):
            return channel
        name = channel.removeprefix("#")
        cursor: str | None = None
        for _page in range(_MAX_PAGES):
            if name in self._channel_ids:
                return self._channel_ids[name]
            answer = await _call(
                f"look up {channel}",
                self._client.conversations_list(
                    exclude_archived=True, types="public_channel,private_channel", limit=1000, cursor=cursor
                ),
            )
            found = {str(each["name"]): str(each["id"]) for each in answer.get("channels") or []}
            if name in found:
                self._channel_ids[name] = found[name]
                return found[name]
            cursor = _next_cursor(answer)
            if cursor is None:
                break
        raise SlackRefused(
            f"Slack: there is no channel {channel} that the app can see; {_ADVICE['channel_not_found']}",
            "channel_not_found",
        )


async def _call(what: str, request: Awaitable[AsyncSlackResponse]) -> AsyncSlackResponse:
    # At hand since the client was made.
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        return await request
    except SlackApiError as error:
        raise _map_answer(what, error) from error
    # AttributeError: the library stumbles over a 200 whose body is no JSON object (a proxy's page).
    except (aiohttp.ClientError, TimeoutError, SlackClientError, AttributeError) as error:
        raise SlackUnavailable(
            f"Slack: no clear answer to the attempt to {what}: {describe(error)}"
        ) from error


def _map_answer(what: str, error: SlackApiError) -> ResponderError:
    # Where the body was no JSON the library hands over aiohttp's own response.
    status = int(getattr(error.response, "status_code", 0) or getattr(error.response, "status", 0))
    data = getattr(error.response, "data", None)
    word = str(data.get("error") or "") if isinstance(data, dict) else ""
    sentence = f"Slack: could not {what}: {word or f'HTTP {status}'}"
    if status == 429 or status >= 500 or not word or word in _WORTH_RETRYING:
        return SlackUnavailable(sentence, _retry_after(error.response.headers))
    needed = f" (needed: {data['needed']})" if isinstance(data, dict) and data.get("needed") else ""
    details = "; ".join(_details(data))
    advice = _ADVICE.get(word)
    parts = [sentence + needed, *([details] if details else []), *([advice] if advice else [])]
    return SlackRefused("; ".join(parts), word)


def _details(data: object) -> list[str]:
    """Slack's own words on what is wrong with the blocks; they name places, not contents."""
    metadata = data.get("response_metadata") if isinstance(data, dict) else None
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    return [str(message)[:200] for message in messages[:3]] if isinstance(messages, list) else []


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(text) if text.isdigit() else None


def _incident_of(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != METADATA_EVENT:
        return None
    payload = metadata.get("event_payload") or {}
    return payload.get("incident_uid")


def _next_cursor(answer: AsyncSlackResponse) -> str | None:
    return (answer.get("response_metadata") or {}).get("next_cursor") or None


def parse_response_url(text: str, api_url: str) -> URL:
    """The URL, if it leads to the API's own host or to the "hooks." host beside it; else SlackRefused."""
    api = URL(api_url)
    try:
        url = URL(text)
    except ValueError:
        raise SlackRefused("Slack: the click's response_url is no URL", "response_url") from None
    hosts = {api.host, f"hooks.{api.host}"}
    if url.host not in hosts or (url.scheme, url.port) != (api.scheme, api.port):
        raise SlackRefused(
            f"Slack: the click's response_url leads to {url.host}, which is not Slack's: not answered",
            "response_url",
        )
    return url
