"""What a real API server refuses in a workload: its selector, its strategy, its numbers, its template.

Pure. Messages are the real server's. Called by the rules of the kinds.
Source: Kubernetes pkg/apis/apps/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from responder.sandbox.api.names import label_causes, selector_causes
from responder.sandbox.api.objects import Object
from responder.sandbox.api.pod_rules import NOT_NEGATIVE, pod_spec_causes
from responder.sandbox.api.selectors import label_selector_of
from responder.sandbox.api.status import (
    Cause,
    forbidden_value,
    immutable_value,
    invalid_value,
    required_value,
    unsupported_value,
)

_PERCENT = re.compile(r"[0-9]+%")
_UPDATE_STRATEGIES = ("RollingUpdate", "OnDelete")
_POD_MANAGEMENT = ("OrderedReady", "Parallel")
_NONE = (None, 0, "0%")
_STATEFUL_SET_MAY_CHANGE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)


def _deployment(obj: Object, old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from _selector_stays(obj, old)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") not in ("Recreate", "RollingUpdate"):
        yield unsupported_value("spec.strategy", _go_strategy(strategy), ("Recreate", "RollingUpdate"))
    elif strategy["type"] == "RollingUpdate":
        yield from _rolling_update(strategy.get("rollingUpdate") or {})
    elif strategy.get("rollingUpdate"):
        detail = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden_value("spec.strategy.rollingUpdate", detail)
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if isinstance(deadline, int) and deadline <= ready:
        yield invalid_value("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _rolling_update(rolling: dict[str, Any]) -> Iterator[Cause]:
    where = "spec.strategy.rollingUpdate"
    yield from _amount_causes(rolling, where)
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if unavailable in (0, "0%") and surge in (0, "0%"):
        detail = "may not be 0 when `maxSurge` is 0"
        yield invalid_value(f"{where}.maxUnavailable", unavailable, detail)
    yield from _percentage_causes(rolling, "maxUnavailable", where)


def _amount_causes(rolling: dict[str, Any], where: str) -> Iterator[Cause]:
    for member in ("maxUnavailable", "maxSurge"):
        value = rolling.get(member)
        if isinstance(value, str) and not _PERCENT.fullmatch(value):
            detail = (
                "a valid percent string must be a numeric string followed by an ending '%'"
                " (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
            )
            yield invalid_value(f"{where}.{member}", value, detail)
        elif isinstance(value, int) and value < 0:
            yield invalid_value(f"{where}.{member}", value, NOT_NEGATIVE)


def _percentage_causes(rolling: dict[str, Any], member: str, where: str) -> Iterator[Cause]:
    value = rolling.get(member)
    if isinstance(value, str) and _PERCENT.fullmatch(value) and int(value[:-1]) > 100:
        yield invalid_value(f"{where}.{member}", value, "must not be greater than 100%")


def _stateful_set(obj: Object, old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    policy, strategy = spec.get("podManagementPolicy"), spec.get("updateStrategy") or {}
    if policy not in _POD_MANAGEMENT:
        detail = "must be 'OrderedReady' or 'Parallel'"
        yield invalid_value("spec.podManagementPolicy", policy, detail)
    if strategy.get("type") not in _UPDATE_STRATEGIES:
        detail = "must be 'RollingUpdate' or 'OnDelete'"
        yield invalid_value("spec.updateStrategy", strategy, detail)
    rolling = strategy.get("rollingUpdate") or {}
    if (rolling.get("partition") or 0) < 0:
        where = "spec.updateStrategy.rollingUpdate.partition"
        yield invalid_value(where, rolling["partition"], NOT_NEGATIVE)
    yield from _amount_causes(rolling, "spec.updateStrategy.rollingUpdate")
    yield from _percentage_causes(rolling, "maxUnavailable", "spec.updateStrategy.rollingUpdate")
    yield from _workload(obj, old)
    if old is not None and _fixed(obj["spec"]) != _fixed(old["spec"]):
        detail = (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template',"
            " 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and"
            " 'minReadySeconds' are forbidden"
        )
        yield forbidden_value("spec", detail)


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in spec.items() if member not in _STATEFUL_SET_MAY_CHANGE}


def _daemon_set(obj: Object, old: Object | None) -> Iterator[Cause]:
    yield from _selector_stays(obj, old)
    strategy = (obj.get("spec") or {}).get("updateStrategy") or {}
    if strategy.get("type") not in _UPDATE_STRATEGIES:
        yield unsupported_value("spec.updateStrategy", strategy, _UPDATE_STRATEGIES)
    elif strategy["type"] == "RollingUpdate":
        rolling, where = strategy.get("rollingUpdate") or {}, "spec.updateStrategy.rollingUpdate"
        yield from _amount_causes(rolling, where)
        yield from _percentage_causes(rolling, "maxUnavailable", where)
        yield from _percentage_causes(rolling, "maxSurge", where)
        unavailable, surge = (rolling.get(member) in _NONE for member in ("maxUnavailable", "maxSurge"))
        if unavailable and surge:
            yield required_value(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0")
        elif not unavailable and not surge:
            detail = "may not be set when maxUnavailable is non-zero"
            yield invalid_value(f"{where}.maxSurge", rolling["maxSurge"], detail)


def _selector_stays(obj: Object, old: Object | None) -> Iterator[Cause]:
    selector = (obj.get("spec") or {}).get("selector")
    if old is not None and selector != old["spec"].get("selector"):
        yield immutable_value("spec.selector", selector)
    yield from _workload(obj, old)


def _workload(obj: Object, old: Object | None) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    for member in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        if isinstance(spec.get(member), int) and spec[member] < 0:
            yield invalid_value(f"spec.{member}", spec[member], NOT_NEGATIVE)
    if old is not None and all(spec.get(part) == old["spec"].get(part) for part in ("selector", "template")):
        # It passed when it was stored.
        return
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    yield from _selector_causes(spec.get("selector"), labels)
    yield from label_causes(labels, "spec.template.labels")
    pod = template.get("spec") or {}
    yield from pod_spec_causes(pod, "spec.template.spec")
    if pod.get("restartPolicy", "Always") != "Always":
        yield unsupported_value("spec.template.spec.restartPolicy", pod["restartPolicy"], ("Always",))


def _selector_causes(selector: dict[str, Any] | None, labels: dict[str, Any]) -> Iterator[Cause]:
    """Yield what is wrong with a workload's selector, and whether it misses the pods of the template."""
    if selector is None:
        yield required_value("spec.selector")
        faulty = False
    else:
        faults = list(selector_causes(selector, "spec.selector"))
        yield from faults
        faulty = bool(faults)
        if not (selector.get("matchLabels") or selector.get("matchExpressions")):
            yield invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
    if faulty:
        yield invalid_value("spec.selector", selector, "invalid label selector")
    elif selector is None or not label_selector_of(selector).matches({"metadata": {"labels": labels}}):
        detail = "`selector` does not match template `labels`"
        yield invalid_value("spec.template.metadata.labels", labels, detail)


def _go_strategy(strategy: dict[str, Any]) -> dict[str, Any]:
    # The real server prints its internal struct here, whose members are capitalised.
    rolling = strategy.get("rollingUpdate")
    shown = rolling and {
        "MaxUnavailable": rolling.get("maxUnavailable"),
        "MaxSurge": rolling.get("maxSurge"),
    }
    return {"Type": strategy.get("type"), "RollingUpdate": shown}


def _controller_revision(obj: Object, old: Object | None) -> Iterator[Cause]:
    if old is not None and obj.get("data") != old.get("data"):
        yield immutable_value("data", obj.get("data"))
    if int(obj.get("revision") or 0) < 0:
        yield invalid_value("revision", obj["revision"], NOT_NEGATIVE)


WORKLOAD_CHECKS: dict[str, Callable[[Object, Object | None], Iterator[Cause]]] = {
    "deployments.apps": _deployment,
    "replicasets.apps": _selector_stays,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "controllerrevisions.apps": _controller_revision,
}
