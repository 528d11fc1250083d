"""A story being played: the release, and what people do about it. The responder does the rest, or fails to.

What is waited for shows in the inboxes and in the cluster, as for anybody. Called by run.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, assert_never

from responder.clock import Clock
from responder.errors import ResponderError
from responder.sandbox.demo.probe import Probe
from responder.sandbox.demo.stage import Stage
from responder.sandbox.demo.stories import BAD, ON_CALL, Ending
from responder.sandbox.demo.witness import Witness
from responder.sandbox.inboxes.slack_clicks import ClickResult, buttons
from responder.sandbox.inboxes.slack_messages import Message
from responder.sandbox.traffic.pods import PODS
from responder.sandbox.world import ERROR_RATE, LATENCY_P95
from responder.tasks import together

T = TypeVar("T")

BASELINE = timedelta(seconds=16)
"""v1's good traffic before the release: the rule file's clean gap is judged on it."""

HEAD_START = timedelta(seconds=3)
"""How long before the release v1 fails, where it does: its own alert must not fire before v2 serves."""

_ONLOOKING = timedelta(seconds=6)
_READING = timedelta(seconds=3)
_PATIENCE = timedelta(seconds=100)
# The last messages are sent after the incident is closed.
_LAST_WORDS = timedelta(seconds=1.5)
_POLL_SECONDS = 0.1
_ROLL_BACK = "Roll back"


class Overdue(ResponderError):
    """What a story waited for did not come."""


@dataclass(slots=True)
class Act:
    """One story on its stage, and what the demo itself did there."""

    stage: Stage
    probe: Probe
    witness: Witness
    clock: Clock
    started_at: datetime
    broken_at: datetime | None = None
    released_at: datetime | None = None
    clicked_at: datetime | None = None
    click: ClickResult | None = None
    calmed_at: datetime | None = None
    ended_at: datetime | None = None
    overdue: str = ""

    @property
    def release_due_at(self) -> datetime:
        """When the release is to be expected, as long as there was none."""
        if self.broken_at is not None:
            return self.broken_at + HEAD_START
        return self.started_at + BASELINE

    async def warm_up(self) -> None:
        """Let good traffic flow for a while."""
        await self.clock.sleep(BASELINE.total_seconds())

    async def play(self) -> None:
        """Release the bad version and stay until the story is over, or overdue."""
        try:
            await self._play()
        except Overdue as error:
            self.overdue = str(error)
        self.ended_at = self.clock.now()

    async def _play(self) -> None:
        story, world = self.stage.story, self.stage.world
        if story.fails_before:
            self._break()
            await self.clock.sleep(HEAD_START.total_seconds())
        self.released_at = self.clock.now()
        world.release(
            BAD,
            error_rate=story.error_rate,
            latency_p95=story.latency_p95,
            change_cause=f"release {BAD}",
        )
        await self._until(lambda: self.witness.incident, "an incident")
        match story.ending:
            case Ending.ROLLED_BACK:
                pass
            case Ending.CLICKED:
                await self._decide()
            case Ending.TOLD:
                await self._until(lambda: self.stage.world.slack.messages, "a message in Slack")
                await self.clock.sleep(_ONLOOKING.total_seconds())
                self._calm()
            case Ending.ASKED:
                await self._be_asked()
                await self.clock.sleep(_ONLOOKING.total_seconds())
                return
            case _:
                assert_never(story.ending)
        await self._until(lambda: self.witness.phase == "Closed", "the incident to be closed")
        await self.clock.sleep(_LAST_WORDS.total_seconds())

    async def _decide(self) -> None:
        """A simulated person is paged, reads the message in Slack and clicks the button."""
        message = await self._be_asked()
        inboxes = self.stage.world.inboxes
        await self.clock.sleep(_READING.total_seconds())
        action = _find_action(message)
        if action is None or inboxes.hands is None:
            raise Overdue("the button to roll back vanished from Slack while the on-call read the message")
        self.clicked_at = self.clock.now()
        self.click = await inboxes.hands.click(message, action, ON_CALL)

    async def _be_asked(self) -> Message:
        """Wait until somebody is paged and can decide in Slack."""
        await self._until(lambda: self.stage.world.pagerduty.alerts, "a page")
        return await self._until(self._message_with_button, "a button to roll back in Slack")

    def _message_with_button(self) -> Message | None:
        messages = self.stage.world.slack.messages
        return next((each for each in messages if _find_action(each) is not None), None)

    def _calm(self) -> None:
        """The release gets better by itself, as when caches have filled: no new revision, the same pods."""
        self.calmed_at = self.clock.now()
        self._let_pods_behave(LATENCY_P95, "150ms")

    def _break(self) -> None:
        """Something that v1 needs fails: the pods are the same, and from now on so many requests fail."""
        self.broken_at = self.clock.now()
        self._let_pods_behave(ERROR_RATE, str(self.stage.story.error_rate))

    def _let_pods_behave(self, annotation: str, value: str) -> None:
        """Every pod that is there behaves so from now on."""
        store = self.stage.world.cluster.store
        for pod in store.list(PODS, self.stage.world.namespace):
            pod["metadata"]["annotations"][annotation] = value
            store.update(PODS, pod, manager="kubectl")

    async def _until(self, found: Callable[[], T | None], what: str) -> T:
        """What is found, once something is. Raises Overdue, and ProcessError when the responder ended."""
        deadline = self.clock.now() + _PATIENCE
        while True:
            self.stage.responder.check()
            result = found()
            if result:
                return result
            if self.clock.now() > deadline:
                raise Overdue(f"waited {_PATIENCE.total_seconds():.0f} s in vain for {what}")
            await self.clock.sleep(_POLL_SECONDS)


@asynccontextmanager
async def open_act(stage: Stage, clock: Clock) -> AsyncIterator[Act]:
    """The story on its stage, observed from now on until the context ends."""
    probe = Probe(stage.world.prometheus_url, stage.file, stage.metric, clock)
    witness = Witness()
    stop_following = witness.follow(stage.world.cluster.store)
    async with together() as group:
        probing = group.create_task(probe.run())
        try:
            yield Act(stage, probe, witness, clock, clock.now())
        finally:
            probing.cancel()
            stop_following()


def _find_action(message: Message) -> str | None:
    for _, button in buttons(message.current):
        if button["text"]["text"] == _ROLL_BACK:
            return str(button["action_id"])
    return None
