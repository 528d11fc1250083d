"""When many workloads want a rollback at once: rather something they share than all their releases. Pure.

The limits are the operator's, for the whole cluster: they stand in the settings, not in one service's file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.workloads.key import WorkloadKey


@dataclass(frozen=True, slots=True)
class StormBrake:
    """So many workloads within so long are a storm; `calm` after one, nothing is automatic.

    An incident waits for `wait` after its first alert before it may be undone, so that others can arrive.
    """

    workloads: int
    within: timedelta
    wait: timedelta
    calm: timedelta


@dataclass(frozen=True, slots=True)
class Wish:
    """A workload that wants a rollback, since when, and what it calls, directly or through others."""

    workload: WorkloadKey
    at: datetime
    calls: frozenset[WorkloadKey] = frozenset()


def find_storm(wishes: Iterable[Wish], own: WorkloadKey, brake: StormBrake) -> tuple[Wish, ...]:
    """The wishes of the latest storm, oldest first; none where there was none.

    Who calls a workload that is in trouble itself, and is not called by it, is in trouble because of it and
    does not count; `own`, whose incident is judged, always does.
    """
    found = sorted(wishes, key=lambda wish: wish.at)
    for last in reversed(found):
        since = last.at - brake.within
        near = [wish for wish in found if since < wish.at <= last.at]
        calls = _calls_of(near) if any(wish.calls for wish in near) else {}
        counted = tuple(wish for wish in near if wish.workload == own or not _because_of(wish, calls))
        if len({wish.workload for wish in counted}) >= brake.workloads:
            return counted
    return ()


def _calls_of(wishes: Iterable[Wish]) -> dict[WorkloadKey, list[frozenset[WorkloadKey]]]:
    """What each workload calls, once for each of its wishes."""
    found: dict[WorkloadKey, list[frozenset[WorkloadKey]]] = {}
    for wish in wishes:
        found.setdefault(wish.workload, []).append(wish.calls)
    return found


def _because_of(wish: Wish, calls: Mapping[WorkloadKey, Iterable[frozenset[WorkloadKey]]]) -> bool:
    return bool(wish.calls) and any(
        wish.workload not in theirs
        for other in wish.calls
        if other != wish.workload
        for theirs in calls.get(other, ())
    )
