"""Many incidents at once: their own messages wait, and one digest in the channel stands for them meanwhile.

Who came within the last minute is told by the incidents themselves, so a restart sees the same storm. Pages
are not held back. Used by notify.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from responder.actions.attempts import retry_delay
from responder.actions.messages import SlackMessage, digest
from responder.actions.messages_storm import render_storm
from responder.actions.pace import Pace
from responder.actions.post import update
from responder.clients.slack import Slack, SlackRefused
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.model import Incident

log = structlog.get_logger(__name__)

# More than these within a minute are a storm: at one message a second nobody reads, and Slack takes no more.
MOST_A_MINUTE = 10
MINUTE = timedelta(minutes=1)
# By what a digest is found again after a restart.
_MARK = "storm"


@dataclass(slots=True)
class _Storm:
    """What came to one channel lately, and the digest that stands for it."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    posted: tuple[str, str] | None = None
    said: str = ""
    failures: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Storms:
    """The storms of every channel."""

    def __init__(self, slack: Slack, clock: Clock, pace: Pace) -> None:
        self._slack = slack
        self._clock = clock
        self._pace = pace
        self._storms: dict[str, _Storm] = {}

    def calm_at(self, channel: str, incident: Incident) -> datetime | None:
        """Count the incident in; when its own message may go at the earliest, None when it may go now."""
        storm, now = self._storms.setdefault(channel, _Storm()), self._clock.now()
        storm.incidents[incident.metadata.uid] = incident
        lately = sorted(at for at in map(_came_at, storm.incidents.values()) if at > now - MINUTE)
        if len(lately) > MOST_A_MINUTE:
            return lately[-MOST_A_MINUTE - 1] + MINUTE
        gone = [uid for uid, each in storm.incidents.items() if _came_at(each) <= now - MINUTE]
        for uid in gone:
            del storm.incidents[uid]
        storm.posted, storm.said = None, ""
        return None

    async def show(self, channel: str) -> datetime | None:
        """Bring the channel's digest up to date; when to call again, None when it says everything."""
        storm = self._storms[channel]
        async with storm.lock:
            message = render_storm(sorted(storm.incidents.values(), key=_came_at))
            said, now = digest(message), self._clock.now()
            if storm.said == said:
                return None
            turn_at = self._pace.claim_first(channel, now)
            if turn_at > now:
                return turn_at
            try:
                storm.posted = await self._send(channel, storm, message)
            except ResponderError as error:
                storm.failures += 1
                due_at = self._clock.now() + retry_delay(error, storm.failures)
                # Nobody gets through: the other incidents' messages need not try in the meantime.
                self._pace.hold(due_at)
                log.warning("digest_failed", channel=channel, error=str(error))
                return due_at
            storm.said, storm.failures = said, 0
            return None

    async def _send(self, channel: str, storm: _Storm, message: SlackMessage) -> tuple[str, str]:
        posted = storm.posted or await self._find(channel, storm)
        if posted is not None and await update(self._slack, *posted, message):
            return posted
        return await self._slack.post(channel, message.blocks, message.text, incident_uid=_MARK)

    async def _find(self, channel: str, storm: _Storm) -> tuple[str, str] | None:
        """The digest that was posted since this storm began, by whoever led then."""
        began_at = min(map(_came_at, storm.incidents.values()))
        try:
            return await self._slack.find_by_metadata(channel, _MARK, began_at)
        except SlackRefused as error:
            # A second digest is the lesser evil than none.
            log.warning("slack_search_refused", channel=channel, error=str(error))
            return None


def _came_at(incident: Incident) -> datetime:
    return incident.spec.received_at
