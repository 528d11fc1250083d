"""Tells Slack and PagerDuty what an incident has become: compares with what was told, sends the difference.

This is the outbox, derived instead of stored: the incident says what is to be said and what was told, so that
nothing is lost, sent twice or out of order, whoever leads. Called by whoever drives an incident, after every
change and again at `retry_at`. It raises nothing on account of Slack or PagerDuty: no rollback waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

import structlog

from responder.actions.attempts import FIRST_RETRY, wish
from responder.actions.messages import PagerDutyEvent, awaits_answer, digest, gist
from responder.actions.messages_pagerduty import render_change, render_pagerduty, wants_page
from responder.actions.messages_slack import render_slack
from responder.actions.pace import Pace
from responder.actions.post import post, update
from responder.actions.progress import Progress, Step
from responder.actions.storms import Storms
from responder.clients.kubernetes import NotFound
from responder.clients.pagerduty import PagerDuty
from responder.clients.slack import Slack
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.model import Condition, Incident, Status
from responder.incidents.notifications import Notifications, PagerDutyState, SlackState
from responder.incidents.phases import Phase
from responder.rules.model import Channel, RuleFile
from responder.term import Term, TermOver

log = structlog.get_logger(__name__)

# New numbers alone are no news: they are written so often at most.
REWRITE_EVERY = timedelta(minutes=3)
# Who can't be asked on Slack for so long is told so by a page.
SLACK_GONE_AFTER = timedelta(minutes=5)
# Messages of a closed incident are tried for so long; then the incident, the log and a metric say so.
LAST_WORDS = timedelta(hours=1)
# Slack takes about one new message a second in a channel. Source: https://docs.slack.dev/apis/web-api/rate-limits
_POST_EVERY = timedelta(seconds=1.1)
# Closed incidents of which another call may still come.
_MOST_CONCLUDED = 1000

Result = Literal["sent", "failed", "given_up"]

_CHANNELS: dict[Step, Channel] = {
    "slack": Channel.SLACK,
    "pagerduty": Channel.PAGERDUTY,
    "change": Channel.PAGERDUTY,
}


class NotificationStore(Protocol):
    """Where it is written down what was told."""

    async def record_told(self, incident: Incident, change: Callable[[Status], Status]) -> Incident:
        """Write the notifications and conditions that `change` makes of the newest status, nothing else.

        Returns what stands there now. May raise ResponderError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What was told so far, and when to call again; None: there is nothing left to send."""

    notifications: Notifications
    retry_at: datetime | None


class Notifier:
    """Keeps people up to date, in order per incident, pages first. Remembers open incidents only.

    One a term of leadership, beyond which it is silent; it finds out where another one spoke meanwhile.
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
        term: Term,
    ) -> None:
        self._slack = slack
        self._pagerduty = pagerduty
        self._store = store
        self._clock = clock
        self._default_channel = default_channel
        self._count = count
        self._term = term
        self._incidents: dict[str, Progress] = {}
        self._concluded: dict[str, None] = {}
        self._paces = {Channel.SLACK: Pace(_POST_EVERY), Channel.PAGERDUTY: Pace(timedelta())}
        self._storms = None if slack is None else Storms(slack, clock, self._paces[Channel.SLACK])
        if slack is None:
            log.warning("slack_absent", message="No Slack token is set: nothing is told on Slack.")
        if pagerduty is None:
            log.warning("pagerduty_absent", message="No PagerDuty routing key is set: nobody is paged.")

    async def notify(self, incident: Incident, file: RuleFile | None) -> Told:
        """Bring Slack and PagerDuty to what the incident says, recording each success at once.

        What goes wrong outside is logged, counted and due again 1 s to 5 min later, at `retry_at`. An hour
        after the incident closed it is given up: condition Told is False then, and otherwise True.
        """
        uid = incident.metadata.uid
        if uid in self._concluded:
            return Told(incident.status.notifications, None)
        progress = self._incidents.setdefault(uid, Progress(incident))
        async with progress.lock:
            if self._term.left_seconds <= 0:
                return Told(progress.told, self._clock.now() + FIRST_RETRY)
            progress.waits.clear()
            progress.learn(incident)
            await self._record(progress)
            if progress.conclusion is None and not progress.concluded:
                trouble = await self._page(progress, file)
                await self._tell_of_change(progress)
                await self._record(progress)
                await self._tell(progress, file, trouble)
                page_at = _slack_gone_at(progress)
                if page_at is not None and page_at > self._clock.now():
                    progress.waits.append(page_at)
                await self._record(progress)
                await self._conclude(progress)
        if progress.concluded:
            self._concluded[uid] = None
            if len(self._concluded) > _MOST_CONCLUDED:
                del self._concluded[next(iter(self._concluded))]
            self.forget(incident)
        return Told(progress.told, min(progress.waits, default=None))

    def forget(self, incident: Incident) -> None:
        """Keep nothing of an incident that is not driven any more, however that ended."""
        uid = incident.metadata.uid
        self._incidents.pop(uid, None)
        for pace in self._paces.values():
            pace.give_back(uid)

    async def _page(self, progress: Progress, file: RuleFile | None) -> str | None:
        """Tell PagerDuty what is new and return why nobody could be paged who should have been."""
        pagerduty, gone = self._pagerduty, self._slack_trouble(progress)
        if pagerduty is None:
            return "PagerDuty is not set up." if wants_page(progress.incident) else None
        status = progress.incident.status.model_copy(update={"notifications": progress.told})
        event = render_pagerduty(progress.incident.model_copy(update={"status": status}), file, gone)
        said, state = "" if event is None else digest(event), progress.told.pagerduty
        if event is None or (state is not None and state.digest == said):
            progress.forget_failure("pagerduty")
            return None

        async def send() -> None:
            await _send_event(pagerduty, event)
            new = PagerDutyState(action=event.action, digest=said)
            progress.told = progress.told.model_copy(update={"pagerduty": new})

        if await self._attempt(progress, "pagerduty", said, send) or event.action != "trigger":
            return None
        failure = progress.failures.get("pagerduty")
        return "PagerDuty asks to wait." if failure is None else failure.error

    def _slack_trouble(self, progress: Progress) -> str | None:
        """Why people can't be asked on Slack, once that has been so for long; None while they can."""
        page_at = _slack_gone_at(progress)
        gone = page_at is not None and self._clock.now() >= page_at
        return progress.failures["slack"].error if gone else None

    async def _tell_of_change(self, progress: Progress) -> None:
        """Show the rollback among PagerDuty's recent changes. After a lost answer it may show twice."""
        pagerduty, change = self._pagerduty, render_change(progress.incident)
        rollback = progress.incident.status.rollback
        if pagerduty is None or change is None or rollback is None:
            return
        if rollback.attempt <= progress.told.change_attempt:
            return

        async def send() -> None:
            await pagerduty.send_change(change)
            progress.told = progress.told.model_copy(update={"change_attempt": rollback.attempt})

        await self._attempt(progress, "change", str(rollback.attempt), send)

    async def _tell(self, progress: Progress, file: RuleFile | None, trouble: str | None) -> None:
        """Bring the Slack message up to date: at once where there is news, now and then for new numbers."""
        slack, incident = self._slack, progress.incident
        if slack is None or not _wants_slack(incident, progress.told):
            return
        message = render_slack(incident, file, trouble)
        said, news, state = digest(message), gist(incident, trouble), progress.told.slack
        if state is not None and state.digest == said:
            progress.forget_failure("slack")
            return
        rewrite_at = _numbers_due_at(incident, state, news)
        if rewrite_at is not None and self._clock.now() < rewrite_at:
            progress.waits.append(rewrite_at)
            return
        wanted = (None if file is None else file.slack_channel) or self._default_channel

        async def send() -> None:
            posted = progress.told.slack
            if posted is None or not await update(slack, posted.channel, posted.ts, message):
                channel, ts = await post(slack, wanted, message, incident)
            else:
                channel, ts = posted.channel, posted.ts
            new = SlackState(channel=channel, ts=ts, digest=said, gist=news, said_at=self._clock.now())
            progress.told = progress.told.model_copy(update={"slack": new})

        if state is None and not await self._is_turn(progress, wanted or "", said):
            return
        await self._attempt(progress, "slack", said, send)

    async def _is_turn(self, progress: Progress, channel: str, said: str) -> bool:
        """Whether a new message may go to the channel now; else it is due again when its turn comes."""
        now, failure = self._clock.now(), progress.failures.get("slack")
        if failure is not None and failure.holds(said, now):
            progress.waits.append(failure.due_at)
            return False
        calm_at = None if self._storms is None else self._storms.calm_at(channel, progress.incident)
        if self._storms is not None and calm_at is not None:
            digest_at = await self._storms.show(channel)
            progress.waits += [calm_at] if digest_at is None else [calm_at, digest_at]
            return False
        turn_at = self._paces[Channel.SLACK].claim(channel, progress.incident.metadata.uid, now)
        if turn_at > now:
            progress.waits.append(turn_at)
        return turn_at <= now

    async def _record(self, progress: Progress) -> None:
        """Write down what was told, where the record does not say so yet."""
        if not progress.unrecorded:
            return

        async def send() -> None:
            try:
                stored = await self._store.record_told(progress.incident, progress.change())
            except NotFound as error:
                if error.resource_missing:
                    raise
                # Somebody deleted the incident: there is nothing to write into, and soon nothing to say.
                stored = _as_if_written(progress)
            progress.keep(stored, self._clock.now())

        await self._attempt(progress, "record", "", send)

    async def _conclude(self, progress: Progress) -> None:
        """Once the incident is closed: say in it that people were told, or at last that they were not."""
        incident, now = progress.incident, self._clock.now()
        closed_at = incident.status.times.closed_at
        if incident.phase is not Phase.CLOSED or closed_at is None or "record" in progress.failures:
            return
        if progress.waits and now < closed_at + LAST_WORDS:
            progress.waits.append(closed_at + LAST_WORDS)
            return
        unsaid = {_CHANNELS[step]: failure.error for step, failure in progress.failures.items()}
        for channel, error in unsaid.items():
            self._count(channel, "given_up")
            log.error("people_not_told", incident=incident.name, channel=channel.value, error=error)
        progress.conclusion = _conclusion(unsaid, late=bool(progress.waits), now=now)
        progress.waits.clear()
        await self._record(progress)

    async def _attempt(
        self, progress: Progress, step: Step, said: str, send: Callable[[], Awaitable[None]]
    ) -> bool:
        """Take the step unless it failed too recently or has to wait; True when it was taken."""
        now, failure, channel = self._clock.now(), progress.failures.get(step), _CHANNELS.get(step)
        if failure is not None and failure.holds(said, now):
            progress.waits.append(failure.due_at)
            return False
        earliest = now if channel is None else self._paces[channel].earliest(now)
        if self._term.left_seconds <= 0:
            # Another replica may speak by now: this one's knowledge is old.
            earliest = now + FIRST_RETRY
        if earliest > now:
            progress.waits.append(earliest)
            return False
        try:
            await send()
        except TermOver:
            # No failure of theirs: another replica says it by now.
            progress.waits.append(self._clock.now() + FIRST_RETRY)
            return False
        except ResponderError as error:
            now = self._clock.now()
            progress.note_failure(step, said, error, now)
            log.warning("notification_failed", step=step, incident=progress.incident.name, error=str(error))
            if channel is not None:
                # It asks all of us to wait, not this incident alone.
                self._paces[channel].hold(now + wish(error))
                self._count(channel, "failed")
            return False
        progress.forget_failure(step)
        if channel is not None:
            self._count(channel, "sent")
        return True


def _slack_gone_at(progress: Progress) -> datetime | None:
    """When people who can't be asked on Slack are to be told so by a page; None while they can."""
    failure = progress.failures.get("slack")
    if failure is None or not awaits_answer(progress.incident):
        return None
    return failure.began_at + SLACK_GONE_AFTER


def _wants_slack(incident: Incident, told: Notifications) -> bool:
    """Rules say who is told; what is asked or paged needs Slack as well, as that is where one can decide."""
    status = incident.status
    asked = status.ask is not None or status.page is not None
    return Channel.SLACK in status.notify or asked or told.slack is not None


def _numbers_due_at(incident: Incident, state: SlackState | None, news: str) -> datetime | None:
    """When a message that differs in its numbers alone is to be written again; None: there is news."""
    if state is None or state.said_at is None or not state.digest:
        return None
    return None if state.gist != news or incident.phase is Phase.CLOSED else state.said_at + REWRITE_EVERY


def _conclusion(unsaid: dict[Channel, str], *, late: bool, now: datetime) -> Condition:
    """The condition Told of an incident that is over."""
    if not unsaid and not late:
        message = "Everybody who was to be told has the last state."
        return Condition(type="Told", status="True", reason="Told", message=message, last_transition_time=now)
    why = "; ".join(f"{channel.value}: {error}" for channel, error in unsaid.items()) or "no turn came"
    return Condition(
        type="Told",
        status="False",
        reason="GaveUp",
        message=f"Not told of the last state, an hour after closing: {why}"[:2000],
        last_transition_time=now,
    )


def _as_if_written(progress: Progress) -> Incident:
    return progress.incident.model_copy(update={"status": progress.change()(progress.incident.status)})


async def _send_event(pagerduty: PagerDuty, event: PagerDutyEvent) -> None:
    payload = (
        None if event.payload is None else {**event.payload, "custom_details": dict(event.custom_details)}
    )
    await pagerduty.send(event.action, event.dedup_key, payload)
