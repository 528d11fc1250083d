"""Pieces of Slack's Block Kit, each inside its limits whatever it is given. Pure; used by messages_slack.

Source: https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Block = Mapping[str, Any]

_HEADER_CHARACTERS = 150
_SECTION_CHARACTERS = 3000
# Escaping makes one character into five at worst, so a line of this length always fits into a section.
_LINE_CHARACTERS = 500
_BUTTON_CHARACTERS = 75
_CONFIRM_CHARACTERS = 300


def cut(text: str, characters: int) -> str:
    """The text in one line, shortened to at most so many characters with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def escape(text: str, characters: int = _LINE_CHARACTERS) -> str:
    """Foreign text for mrkdwn: shortened, and unable to mention anybody or to link anywhere.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return cut(text, characters).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str, characters: int = 260) -> str:
    """A name in fixed width, in which nothing counts as formatting."""
    return f"`{escape(text.replace('`', chr(39)), characters)}`"


def instant(at: datetime) -> str:
    """An instant, shown in the reader's own time zone; UTC where that can't be shown."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{at:%Y-%m-%d %H:%M:%S} UTC>"


def header(text: str) -> Block:
    """A headline."""
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": cut(text, _HEADER_CHARACTERS), "emoji": True},
    }


def section(title: str, lines: Sequence[str]) -> Block:
    """A titled list of mrkdwn lines; those that don't fit are counted instead."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": fit([f"*{title}*", *lines])}}


def context(lines: Iterable[str]) -> Block:
    """Small print."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": fit(list(lines))}]}


def fit(lines: Sequence[str], characters: int = _SECTION_CHARACTERS) -> str:
    """As many of the lines as fit, and how many more there are."""
    room = characters - len("\n… and 99999 more")
    kept: list[str] = []
    used = 0
    for line in lines:
        used += len(line) + 1
        if used > room:
            break
        kept.append(line)
    left_out = len(lines) - len(kept)
    return "\n".join(kept + ([f"… and {left_out} more"] if left_out else []))


def button(text: str, action_id: str, value: str, *, confirm: Block | None = None) -> Block:
    """A button; one with a confirmation is dangerous and looks it."""
    plain: dict[str, Any] = {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": cut(text, _BUTTON_CHARACTERS)},
        "value": value,
    }
    return plain if confirm is None else {**plain, "style": "danger", "confirm": confirm}


def confirmation(title: str, question: str, yes: str, no: str) -> Block:
    """The dialog that asks again."""
    return {
        "title": {"type": "plain_text", "text": cut(title, 100)},
        "text": {"type": "plain_text", "text": cut(question, _CONFIRM_CHARACTERS)},
        "confirm": {"type": "plain_text", "text": cut(yes, 30)},
        "deny": {"type": "plain_text", "text": cut(no, 30)},
        "style": "danger",
    }
