"""The inboxes as one HTML page for people. Pure: renders what they hold, newest first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from responder.sandbox.inboxes.pagerduty import PagedAlert, PagerDutyInbox
from responder.sandbox.inboxes.slack import SlackInbox
from responder.sandbox.inboxes.slack_messages import Message

_SHOWN = 50

# A token of mrkdwn such as <!date^1^{time}|12:00> or <@U1>.
_TOKEN = re.compile(r"<([^<>]*)>")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>Inboxes</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; }}
body {{ margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }}
main {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 2rem; }}
article {{ border: 1px solid #ddd; border-radius: 6px; padding: 0.5rem 1rem; margin-bottom: 1rem; }}
h3 {{ margin: 0.3rem 0; }}
p {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.5rem 0; }}
code {{ background: #f3f3f3; }}
small {{ color: #666; }}
form {{ display: inline; }}
.danger {{ background: #b00020; color: white; }}
.triggered {{ border-left: 6px solid #b00020; }}
.acknowledged {{ border-left: 6px solid #c77700; }}
.resolved {{ border-left: 6px solid #1b7f3b; }}
</style>
</head>
<body>
<main>
<section><h2>Slack</h2>{slack}</section>
<section><h2>PagerDuty</h2>{pagerduty}</section>
</main>
</body>
</html>
"""


def render_page(slack: SlackInbox, pagerduty: PagerDutyInbox) -> str:
    """The whole page."""
    names = {channel_id: name for name, channel_id in slack.channels.items()}
    top = [each for each in slack.messages if each.thread_ts is None][-_SHOWN:]
    messages = [_render_message(each, slack, names[each.channel]) for each in reversed(top)]
    alerts = [_render_alert(each) for each in reversed(list(pagerduty.alerts.values())[-_SHOWN:])]
    return _PAGE.format(
        slack="".join(messages) or "<p>No message yet.</p>",
        pagerduty="".join(alerts) or "<p>Nobody was paged yet.</p>",
    )


def _render_message(message: Message, slack: SlackInbox, channel: str) -> str:
    body = "".join(_render_block(block, message) for block in message.current.blocks)
    replies = "".join(f"<p>↳ {_mrkdwn(reply.current.text)}</p>" for reply in slack.thread(message))
    edits = len(message.versions) - 1
    edited = f" · edited {_times(edits)}" if edits else ""
    foot = f"#{escape(channel)} · {message.versions[0].at:%H:%M:%S} UTC{edited}"
    return f"<article>{body or _paragraph(message.current.text)}{replies}<small>{foot}</small></article>"


def _render_block(block: Mapping[str, Any], message: Message) -> str:
    match block["type"]:
        case "header":
            return f"<h3>{escape(block['text']['text'])}</h3>"
        case "section":
            texts = [block["text"]] if "text" in block else []
            return "".join(_paragraph(text["text"]) for text in [*texts, *block.get("fields", [])])
        case "context":
            return "".join(f"<small>{_mrkdwn(each['text'])}</small><br>" for each in block["elements"])
        case "actions":
            return "".join(_render_button(each, message) for each in block["elements"])
        case _:
            return "<hr>"


def _render_button(button: Mapping[str, Any], message: Message) -> str:
    fields = {"ts": message.ts, "action_id": button["action_id"]}
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items()
    )
    look = ' class="danger"' if button.get("style") == "danger" else ""
    text = escape(button["text"]["text"])
    return f'<form method="post" action="/click">{inputs}<button{look}>{text}</button></form> '


def _render_alert(alert: PagedAlert) -> str:
    events = "".join(
        f"<li>{event.at:%H:%M:%S} {escape(event.action)} {escape(str(event.payload.get('summary', '')))}</li>"
        for event in alert.events
    )
    return (
        f'<article class="{alert.state}"><h3>{escape(alert.summary)}</h3><ul>{events}</ul>'
        f"<small>{alert.state} · paged {_times(alert.pages)} · {escape(alert.dedup_key)}</small></article>"
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _paragraph(text: str) -> str:
    return f"<p>{_mrkdwn(text)}</p>"


def _mrkdwn(text: str) -> str:
    """Slack's markup as HTML: what is outside of tokens comes escaped, as Slack asks of apps."""
    flat = _TOKEN.sub(lambda token: escape(token[1].split("|")[-1]), text)
    safe = flat.replace("<", "&lt;").replace(">", "&gt;")
    safe = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", safe)
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", safe)
