"""The stories that are told with a kill at every step: what is released, what people do, how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.crash.stage import Scene
from tests.flow.harness import LEAVE, ONCALL, ROLL_BACK

LONG = timedelta(seconds=45)
# A person who gets no answer tries again.
_CLICK_AGAIN = timedelta(seconds=5)
_ASKS: dict[str, Any] = {"alerts": {"very-slow": {"for": "2s"}}}
_TELLS: dict[str, Any] = {"alerts": {"slow": {"for": "2s"}}}


@dataclass(frozen=True, slots=True)
class Story:
    """What happens outside of the responder, until every incident is closed."""

    name: str
    play: Callable[[Scene], Awaitable[None]]
    rules: Mapping[str, Any] = field(default_factory=dict)


def release(here: Scene, version: str, *, error_rate: float = 0.0, latency_p95: str = "120ms") -> None:
    """Release a version whose pods come and go quickly."""
    here.world.release(
        version,
        error_rate=error_rate,
        latency_p95=latency_p95,
        ready_after="100ms",
        terminate_after="300ms",
    )


async def _rolled_back(here: Scene) -> None:
    release(here, "v2", error_rate=0.3)
    await here.phase("Closed", LONG)


async def _asked_and_rolled_back(here: Scene) -> None:
    release(here, "v2", latency_p95="9s")
    await decide(here, ROLL_BACK)
    await here.phase("Closed", LONG)


async def _asked_and_left(here: Scene) -> None:
    release(here, "v2", latency_p95="9s")
    await decide(here, LEAVE)
    await here.phase("Closed", LONG)


async def _told(here: Scene) -> None:
    release(here, "v2", latency_p95="4s")
    await here.reason("ToldOnly", LONG)
    await here.until(lambda: here.world.slack.messages, LONG, "told on Slack")
    # By itself: a release while the alert has not ended may be one more incident, or not, by a moment.
    here.degrade("v2", latency_p95="120ms")
    await here.phase("Closed", LONG)


async def _not_recovered(here: Scene) -> None:
    release(here, "v2", error_rate=0.3)
    await here.until(lambda: here.status().get("times", {}).get("trafficProvenAt"), LONG, "traffic proven")
    here.degrade("v1", error_rate=0.3)
    await here.phase("Settling", LONG)
    here.degrade("v1", error_rate=0.0)
    await here.phase("Closed", LONG)


async def _followed(here: Scene) -> None:
    release(here, "v2", error_rate=0.3)
    await here.until(lambda: here.versions == ["v1", "v2", "v1"], LONG, "rolled back")
    release(here, "v3", error_rate=0.3)
    await decide(here, LEAVE, sequence=2)
    await here.phase("Closed", LONG, sequence=2)
    await here.phase("Closed", LONG)


async def _held_outlives_release(here: Scene) -> None:
    release(here, "v2", latency_p95="9s")
    await decide(here, LEAVE)
    await here.phase("Closed", LONG)
    # As slow as before: the alert never ends, and no delivery tells anything new.
    release(here, "v3", latency_p95="9s")
    await decide(here, LEAVE, sequence=2)
    await here.phase("Closed", LONG, sequence=2)


async def decide(here: Scene, action_id: str, sequence: int = 1) -> None:
    """Click once the question is shown, and again as long as it stands: a click can meet nobody."""
    while True:
        await here.until(lambda: _shows(here, action_id, sequence), LONG, "asked on Slack")
        await here.click(action_id, ONCALL, sequence=sequence)
        deadline = here.world.clock.now() + _CLICK_AGAIN
        while here.world.clock.now() < deadline:
            if here.status(sequence)["phase"] != "AwaitingDecision":
                return
            await here.rest(timedelta(milliseconds=50))


def _shows(here: Scene, action_id: str, sequence: int) -> bool:
    incident = here.incident(sequence)
    if incident is None or here.status(sequence).get("phase") != "AwaitingDecision":
        return False
    digest, uid = here.status(sequence)["ask"]["digest"], incident["metadata"]["uid"]
    said = [m.current for m in here.world.slack.messages if uid in str(m.metadata)]
    return any(digest in str(content.blocks) for content in said) and action_id in here.offers(sequence)


STORIES: Mapping[str, Story] = {
    story.name: story
    for story in (
        Story("rolled-back", _rolled_back),
        Story("asked-rolled-back", _asked_and_rolled_back, _ASKS),
        Story("asked-left", _asked_and_left, _ASKS),
        Story("told", _told, _TELLS),
        Story("not-recovered", _not_recovered, {"rollback": {"settle": "4s"}}),
        Story("followed", _followed),
        Story("held-outlives-release", _held_outlives_release, _ASKS),
    )
}
