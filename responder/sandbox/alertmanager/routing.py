"""The one route and the one webhook receiver of the built-in Alertmanager."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from responder.sandbox.prometheus.labels import Labels, Matcher, keep, match_all


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where notifications go. The token is sent as a bearer token and never shown."""

    name: str
    url: str
    token: str = field(repr=False, default="")
    send_resolved: bool = True
    max_alerts: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """Which alerts the receiver gets, and when. `group_by` may be ("...",) for every alert on its own.

    The defaults are Alertmanager's.
    """

    receiver: Receiver
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = timedelta(seconds=30)
    group_interval: timedelta = timedelta(minutes=5)
    repeat_interval: timedelta = timedelta(hours=4)

    def matches(self, labels: Labels) -> bool:
        """Whether the alert goes to the receiver."""
        return match_all(self.matchers, labels)

    def group_labels(self, labels: Labels) -> Labels:
        """The labels that name the alert's group."""
        return labels if self.group_by == ("...",) else keep(labels, self.group_by)

    @property
    def key(self) -> str:
        """The route's part of a group key: a child of the root that has our matchers."""
        inner = ",".join(str(matcher) for matcher in sorted(self.matchers, key=lambda one: one.name))
        return "{}/{" + inner + "}" if self.matchers else "{}"
