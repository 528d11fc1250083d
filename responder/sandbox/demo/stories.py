"""The demo's stories: which release goes wrong and how it should end. Pure; run.py plays them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from responder.errors import ResponderError
from responder.sandbox.inboxes.slack_clicks import SlackUser


class Ending(StrEnum):
    """How a story should end."""

    ROLLED_BACK = "rolled back automatically"
    CLICKED = "rolled back by a person's click"
    TOLD = "told, nothing touched"
    ASKED = "asked, nothing touched"


@dataclass(frozen=True, slots=True)
class Story:
    """One bad release. `rule` is the alert that leads, `fault` what clients meet.

    `fails_before`: v1 fails just the same from shortly before the release, as when a dependency is down.
    """

    name: str
    title: str
    fault: str
    rule: str
    ending: Ending
    error_rate: float = 0.0
    latency_p95: str = "120ms"
    fails_before: bool = False

    @property
    def undone(self) -> bool:
        """Whether the release has to be taken back."""
        return self.ending in (Ending.ROLLED_BACK, Ending.CLICKED)

    @property
    def paged(self) -> bool:
        """Whether somebody has to be paged."""
        return self.ending is not Ending.TOLD


STORIES: Mapping[str, Story] = {
    story.name: story
    for story in (
        Story(
            name="error-rate",
            title="5% of payments fail in v2",
            fault="a payment fails",
            rule="high-error-rate",
            ending=Ending.ROLLED_BACK,
            error_rate=0.05,
        ),
        Story(
            name="slow",
            title="v2 is slow: p95 4 s",
            fault="a slow answer",
            rule="slow",
            ending=Ending.TOLD,
            latency_p95="4s",
        ),
        Story(
            name="very-slow",
            title="v2 is very slow: p95 8 s",
            fault="a very slow answer",
            rule="very-slow",
            ending=Ending.CLICKED,
            latency_p95="8s",
        ),
        Story(
            name="not-the-release",
            title="5% of payments fail, but since before v2",
            fault="a payment fails",
            rule="high-error-rate",
            ending=Ending.ASKED,
            error_rate=0.05,
            fails_before=True,
        ),
    )
}

GOOD, BAD = "v1", "v2"

# Who is on call in the demo.
ON_CALL = SlackUser("U0ONCALL", "on-call")


def select_stories(names: tuple[str, ...]) -> tuple[Story, ...]:
    """The stories of these names, all when none is given. Raises ResponderError for an unknown name."""
    unknown = [name for name in names if name not in STORIES]
    if unknown:
        raise ResponderError(f"there is no story {unknown[0]}: the stories are {', '.join(STORIES)}")
    return tuple(STORIES[name] for name in dict.fromkeys(names)) or tuple(STORIES.values())
