"""Tells Slack and PagerDuty what an incident has become: compares with what was told, sends the difference.

Called by whoever drives an incident, after every change and again at `retry_at`. It raises nothing on
account of Slack or PagerDuty: a rollback never waits for a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

import structlog

from responder.actions.messages import PagerDutyEvent, SlackMessage, digest
from responder.actions.messages_pagerduty import render_pagerduty, wants_page
from responder.actions.messages_slack import render_slack
from responder.clients.pagerduty import PagerDuty
from responder.clients.slack import Slack, SlackRefused
from responder.clock import Clock
from responder.errors import Permanent, ResponderError, Temporary
from responder.incidents.model import Incident, Notifications, PagerDutyState, SlackState
from responder.incidents.phases import Phase
from responder.rules.model import Channel, RuleFile

log = structlog.get_logger(__name__)

FIRST_RETRY = timedelta(seconds=1)
LAST_RETRY = timedelta(minutes=5)
# How far Slack's clock may lie behind the API server's when looking for a message of ours.
_CLOCK_SKEW = timedelta(minutes=5)

Result = Literal["sent", "failed"]
Step = Literal["slack", "pagerduty", "record"]


class NotificationStore(Protocol):
    """Where it is written down what was told."""

    async def record_notifications(self, incident: Incident, notifications: Notifications) -> object:
        """Write status.notifications and nothing else. May raise ResponderError."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What was told so far, and when to call again; None: there is nothing left to send."""

    notifications: Notifications
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Failure:
    """The last attempt at a step: it failed, with that content, and the next one is due then."""

    digest: str
    count: int
    due_at: datetime
    error: ResponderError


@dataclass(slots=True)
class _Progress:
    """What this process knows of one incident's messages; ahead of the record when a write failed."""

    told: Notifications
    recorded: Notifications
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    failures: dict[Step, _Failure] = field(default_factory=dict)


class Notifier:
    """Keeps people up to date, in order per incident, pages first. Remembers open incidents only.

    One a term of leadership: it takes itself for the only one that speaks.
    """

    def __init__(
        self,
        *,
        slack: Slack | None,
        pagerduty: PagerDuty | None,
        store: NotificationStore,
        clock: Clock,
        default_channel: str | None,
        count: Callable[[Channel, Result], None],
    ) -> None:
        self._slack = slack
        self._pagerduty = pagerduty
        self._store = store
        self._clock = clock
        self._default_channel = default_channel
        self._count = count
        self._incidents: dict[str, _Progress] = {}
        if slack is None:
            log.warning("slack_absent", message="No Slack token is set: nothing is told on Slack.")
        if pagerduty is None:
            log.warning("pagerduty_absent", message="No PagerDuty routing key is set: nobody is paged.")

    async def notify(self, incident: Incident, file: RuleFile | None) -> Told:
        """Bring Slack and PagerDuty to what the incident says, recording each success at once.

        What goes wrong outside is logged, counted and due again 1 s to 5 min later, at `retry_at`.
        """
        uid = incident.metadata.uid
        known = incident.status.notifications
        progress = self._incidents.setdefault(uid, _Progress(known, known))
        async with progress.lock:
            await self._record(incident, progress)
            trouble = await self._page(incident, file, progress)
            await self._tell(incident, file, progress, trouble)
            retry_at = min((failure.due_at for failure in progress.failures.values()), default=None)
        if incident.phase is Phase.CLOSED and retry_at is None:
            self._incidents.pop(uid, None)
        return Told(progress.told, retry_at)

    async def _page(self, incident: Incident, file: RuleFile | None, progress: _Progress) -> str | None:
        """Tell PagerDuty what is new and return why nobody could be paged who should have been."""
        pagerduty = self._pagerduty
        if pagerduty is None:
            return "PagerDuty is not set up." if wants_page(incident) else None
        status = incident.status.model_copy(update={"notifications": progress.told})
        event = render_pagerduty(incident.model_copy(update={"status": status}), file)
        said = "" if event is None else digest(event)
        state = progress.told.pagerduty
        if event is None or (state is not None and state.digest == said):
            progress.failures.pop("pagerduty", None)
            return None

        async def send() -> None:
            await _send_event(pagerduty, event)
            new = PagerDutyState(action=event.action, digest=said)
            progress.told = progress.told.model_copy(update={"pagerduty": new})

        if await self._attempt(incident, progress, "pagerduty", said, send):
            await self._record(incident, progress)
            return None
        return str(progress.failures["pagerduty"].error) if event.action == "trigger" else None

    async def _tell(
        self, incident: Incident, file: RuleFile | None, progress: _Progress, trouble: str | None
    ) -> None:
        """Bring the Slack message up to date."""
        slack = self._slack
        if slack is None or not _wants_slack(incident, progress.told):
            return
        message = render_slack(incident, file, trouble)
        said = digest(message)
        if progress.told.slack is not None and progress.told.slack.digest == said:
            progress.failures.pop("slack", None)
            return
        wanted_channel = (None if file is None else file.slack_channel) or self._default_channel

        async def send() -> None:
            if not await _update(slack, message, progress):
                channel, ts = await _post(slack, wanted_channel, message, incident)
            else:
                assert progress.told.slack is not None
                channel, ts = progress.told.slack.channel, progress.told.slack.ts
            new = SlackState(channel=channel, ts=ts, digest=said)
            progress.told = progress.told.model_copy(update={"slack": new})

        if await self._attempt(incident, progress, "slack", said, send):
            await self._record(incident, progress)

    async def _record(self, incident: Incident, progress: _Progress) -> None:
        """Write down what was told, where the record does not say so yet."""
        if progress.told == progress.recorded:
            return
        told = progress.told

        async def send() -> None:
            await self._store.record_notifications(incident, told)
            progress.recorded = told

        await self._attempt(incident, progress, "record", "", send)

    async def _attempt(
        self,
        incident: Incident,
        progress: _Progress,
        step: Step,
        said: str,
        send: Callable[[], Awaitable[None]],
    ) -> bool:
        """Take the step unless it failed too recently; True when it was taken."""
        failure = progress.failures.get(step)
        # A refusal may be of the very content: other content need not wait.
        held = failure is not None and (isinstance(failure.error, Temporary) or failure.digest == said)
        if failure is not None and held and self._clock.now() < failure.due_at:
            return False
        try:
            await send()
        except ResponderError as error:
            count = 1 if failure is None else failure.count + 1
            due_at = self._clock.now() + retry_delay(error, count)
            progress.failures[step] = _Failure(said, count, due_at, error)
            log.warning("notification_failed", step=step, incident=incident.name, error=str(error))
            self._report(step, "failed")
            return False
        progress.failures.pop(step, None)
        self._report(step, "sent")
        return True

    def _report(self, step: Step, result: Result) -> None:
        if step != "record":
            self._count(Channel(step), result)


def retry_delay(error: ResponderError, failures: int) -> timedelta:
    """How long to wait after so many failures in a row (at least one): doubling from 1 s up to 5 min.

    What is refused for good is tried again as well, at the longest delay: somebody may put it right.
    """
    if isinstance(error, Permanent):
        return LAST_RETRY
    doubled: timedelta = FIRST_RETRY * 2 ** min(failures - 1, 10)
    wished = error.retry_after_seconds if isinstance(error, Temporary) else None
    return min(LAST_RETRY, max(doubled, timedelta(seconds=wished or 0)))


def _wants_slack(incident: Incident, told: Notifications) -> bool:
    """Rules say who is told; what is asked or paged needs Slack as well, as that is where one can decide."""
    status = incident.status
    asked = status.ask is not None or status.page is not None
    return Channel.SLACK in status.notify or asked or told.slack is not None


async def _send_event(pagerduty: PagerDuty, event: PagerDutyEvent) -> None:
    payload = (
        None if event.payload is None else {**event.payload, "custom_details": dict(event.custom_details)}
    )
    await pagerduty.send(event.action, event.dedup_key, payload)


async def _update(slack: Slack, message: SlackMessage, progress: _Progress) -> bool:
    """Update the message that was posted; False when there is none (any more)."""
    posted = progress.told.slack
    if posted is None:
        return False
    try:
        await slack.update(posted.channel, posted.ts, message.blocks, message.text)
    except SlackRefused as error:
        if error.error != "message_not_found":
            raise
        # Somebody deleted it: people can't decide on a message that is gone.
        progress.told = progress.told.model_copy(update={"slack": None})
        return False
    return True


async def _post(
    slack: Slack, channel: str | None, message: SlackMessage, incident: Incident
) -> tuple[str, str]:
    """Post the incident's message, or update the one that an attempt without an answer left behind."""
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
