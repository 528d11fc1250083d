"""The notification log: what a group's receiver was last told, and whether it needs to hear more. Pure.

Source: Alertmanager 0.25 notify/notify.go (DedupStage.needsUpdate).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime

from responder.sandbox.alertmanager.routing import Route


@dataclass(frozen=True, slots=True)
class Notified:
    """What was last told, by fingerprint, and when."""

    at: datetime
    firing: frozenset[str]
    resolved: frozenset[str]


def is_due(
    last: Notified | None, route: Route, *, firing: Set[str], resolved: Set[str], now: datetime
) -> bool:
    """Whether this state of the group is news, or old enough to be repeated."""
    if last is None or last.at < now - 2 * route.repeat_interval:
        return bool(firing)
    if not firing <= last.firing:
        return True
    if not firing:
        # Also without send_resolved: the log must learn that nothing fires any more.
        return bool(last.firing)
    if route.receiver.send_resolved and not resolved <= last.resolved:
        return True
    return last.at < now - route.repeat_interval
