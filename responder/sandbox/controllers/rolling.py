"""The arithmetic of a rollout: how many pods each ReplicaSet is to have next.

Pure: reads what the ReplicaSets want and report, and answers with sizes. Called by the Deployment controller.
Source: Kubernetes pkg/controller/deployment/{rolling,sync}.go and util/deployment_util.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.controllers.fields import (
    count,
    creation_order,
    status_of,
    uid_of,
    wanted_replicas,
)
from responder.sandbox.controllers.revisions import DESIRED_REPLICAS, MAX_REPLICAS, integer_annotation


@dataclass(frozen=True, slots=True)
class Scale:
    """One step: this ReplicaSet is to want so many replicas."""

    replica_set: Object
    replicas: int


def is_rolling(deployment: Object) -> bool:
    """Whether the strategy is RollingUpdate (the default) and not Recreate."""
    return str((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate")) == "RollingUpdate"


def max_surge(deployment: Object) -> int:
    """How many pods there may be beyond spec.replicas; 0 under Recreate."""
    return _fenceposts(deployment)[0]


def max_unavailable(deployment: Object) -> int:
    """How many of spec.replicas may be missing; 0 under Recreate and for a size of 0."""
    return min(_fenceposts(deployment)[1], wanted_replicas(deployment))


def _fenceposts(deployment: Object) -> tuple[int, int]:
    if not is_rolling(deployment):
        return 0, 0
    limits = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    replicas = wanted_replicas(deployment)
    surge = resolve(limits.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = resolve(limits.get("maxUnavailable", "25%"), replicas, round_up=False)
    # Percentages of a small size can both come to 0, and then nothing could ever move.
    return (surge, unavailable) if surge or unavailable else (0, 1)


def resolve(value: int | str, total: int, *, round_up: bool) -> int:
    """An absolute number as it is, or a percentage such as "25%" of total."""
    if isinstance(value, int):
        return value
    parts = int(value.removesuffix("%")) * total
    return -(-parts // 100) if round_up else parts // 100


def wanted_sum(replica_sets: Iterable[Object]) -> int:
    """What the ReplicaSets want together."""
    return sum(wanted_replicas(each) for each in replica_sets)


def active(replica_sets: Iterable[Object]) -> list[Object]:
    """Those that want at least one pod."""
    return [each for each in replica_sets if wanted_replicas(each) > 0]


def new_size(deployment: Object, old: Sequence[Object], new: Object | None) -> int:
    """What the new ReplicaSet may want now, given what the others want (None: it is not there yet)."""
    replicas = wanted_replicas(deployment)
    current = wanted_replicas(new) if new is not None else 0
    if not is_rolling(deployment) or current > replicas:
        return replicas
    room = replicas + max_surge(deployment) - wanted_sum(old) - current
    return current + min(room, replicas - current) if room > 0 else current


def plan_old(deployment: Object, old: Sequence[Object], new: Object) -> list[Scale]:
    """The steps by which old ReplicaSets shrink in this pass: pods that are not available first, then others.

    What the new one has not made available yet is taken off the budget, so the two never add up to too few.
    An old one that wants none any more counts for nothing, though its pods may still be told as available.
    """
    old = sorted(active(old), key=creation_order)
    least_available = wanted_replicas(deployment) - max_unavailable(deployment)
    missing = wanted_replicas(new) - count(new, "availableReplicas")
    budget = wanted_sum(old) + wanted_replicas(new) - least_available - missing
    if not old or budget <= 0:
        return []
    sizes = {uid_of(each): wanted_replicas(each) for each in old}
    steps: list[Scale] = []
    for each in old:
        unhealthy = sizes[uid_of(each)] - count(each, "availableReplicas")
        if unhealthy < 0:
            # The status is older than the size: wait for a newer one rather than count on it.
            return steps
        if taken := min(budget, unhealthy):
            budget -= taken
            sizes[uid_of(each)] -= taken
            steps.append(Scale(each, sizes[uid_of(each)]))
    spare = sum(count(each, "availableReplicas") for each in [*old, new]) - least_available
    for each in old:
        if (taken := min(sizes[uid_of(each)], spare)) > 0:
            spare -= taken
            sizes[uid_of(each)] -= taken
            steps.append(Scale(each, sizes[uid_of(each)]))
    return steps


def is_scaling_event(deployment: Object, replica_sets: Sequence[Object]) -> bool:
    """Whether spec.replicas has changed since some active ReplicaSet was last scaled."""
    known = (integer_annotation(each, DESIRED_REPLICAS) for each in active(replica_sets))
    return any(size is not None and size != wanted_replicas(deployment) for size in known)


def plan_scale(deployment: Object, old: Sequence[Object], new: Object | None) -> list[Scale]:
    """The steps after spec.replicas has changed, or while paused: sizes alone, no rollout."""
    replicas = wanted_replicas(deployment)
    everything = [*old, *([new] if new is not None else [])]
    running = active(everything)
    if len(running) <= 1:
        only = running[0] if running else new or max(old, key=creation_order, default=None)
        return [Scale(only, replicas)] if only is not None and wanted_replicas(only) != replicas else []
    if new is not None and _is_saturated(deployment, new):
        return [Scale(each, 0) for each in active(old)]
    return _plan_proportional(deployment, running) if is_rolling(deployment) else []


def _is_saturated(deployment: Object, new: Object) -> bool:
    replicas = wanted_replicas(deployment)
    return (
        wanted_replicas(new) == replicas
        and integer_annotation(new, DESIRED_REPLICAS) == replicas
        and count(new, "availableReplicas") == replicas
    )


def _plan_proportional(deployment: Object, running: Sequence[Object]) -> list[Scale]:
    """Share the difference out by size: every ReplicaSet its fraction, the largest what is left over."""
    replicas = wanted_replicas(deployment)
    allowed = replicas + max_surge(deployment) if replicas > 0 else 0
    difference = allowed - wanted_sum(running)
    # Among equals the newer grows first and the older shrinks first.
    ordered = sorted(running, key=creation_order, reverse=difference > 0)
    ordered.sort(key=wanted_replicas, reverse=True)
    remaining = difference
    sizes: dict[str, int] = {}
    for each in ordered:
        share = _fraction(deployment, each) if remaining else 0
        share = min(share, remaining) if difference > 0 else max(share, remaining)
        remaining -= share
        sizes[name_of(each)] = wanted_replicas(each) + share
    if ordered:
        sizes[name_of(ordered[0])] = max(0, sizes[name_of(ordered[0])] + remaining)
    return [Scale(each, sizes[name_of(each)]) for each in ordered]


def _fraction(deployment: Object, replica_set: Object) -> int:
    """By how much this ReplicaSet would change if all kept their proportion, rounded half away from zero."""
    size = wanted_replicas(replica_set)
    if wanted_replicas(deployment) == 0:
        return -size
    before = integer_annotation(replica_set, MAX_REPLICAS) or int(status_of(deployment).get("replicas") or 0)
    if before == 0:
        return 0
    target = size * (wanted_replicas(deployment) + max_surge(deployment))
    return (2 * target + before) // (2 * before) - size
