"""The incident's one message in Slack: posted once, found again, changed in place. Called by notify."""

from __future__ import annotations

from datetime import timedelta

import structlog

from responder.actions.messages import SlackMessage
from responder.clients.slack import Slack, SlackRefused
from responder.incidents.model import Incident

log = structlog.get_logger(__name__)

# How far Slack's clock may lie behind the API server's when looking for a message of ours.
_CLOCK_SKEW = timedelta(minutes=5)


async def update(slack: Slack, channel: str, ts: str, message: SlackMessage) -> bool:
    """Change what the message says; False when somebody deleted it: nobody can decide on what is gone."""
    try:
        await slack.update(channel, ts, message.blocks, message.text)
    except SlackRefused as error:
        if error.error != "message_not_found":
            raise
        return False
    return True


async def post(
    slack: Slack, channel: str | None, message: SlackMessage, incident: Incident
) -> tuple[str, str]:
    """Post the incident's message, or update the one that an attempt without an answer left behind.

    Returns its channel id and ts. Raises SlackRefused, SlackUnavailable.
    """
    if channel is None:
        raise SlackRefused(
            f"Slack: no channel is set for {incident.key}; name one under slack.channel in its rule file, or"
            " set RESPONDER_SLACK_CHANNEL",
            "no_channel",
        )
    uid = incident.metadata.uid
    try:
        found = await slack.find_by_metadata(channel, uid, incident.metadata.creation_timestamp - _CLOCK_SKEW)
    except SlackRefused as error:
        # A second message is the lesser evil than none.
        log.warning("slack_search_refused", incident=incident.name, error=str(error))
        found = None
    if found is None:
        return await slack.post(channel, message.blocks, message.text, incident_uid=uid)
    await slack.update(*found, message.blocks, message.text)
    return found
