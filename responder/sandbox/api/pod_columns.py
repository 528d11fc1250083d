"""What a table says of a Pod: how many containers are ready, one word for its state, its restarts.

Pure. Source: Kubernetes pkg/printers/internalversion/printers.go (printPod)
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from responder.sandbox.api.columns import AGE, NAME, NONE, Column, field
from responder.sandbox.api.durations import age_text
from responder.sandbox.api.objects import Object


def _status(pod: Object) -> dict[str, Any]:
    return pod.get("status") or {}


def _ready(pod: Object, _now: datetime) -> str:
    ready = sum(1 for container in _status(pod).get("containerStatuses") or [] if container.get("ready"))
    return f"{ready}/{len(pod['spec'].get('containers') or [])}"


def _word(pod: Object, _now: datetime) -> str:
    status = _status(pod)
    word = str(status.get("reason") or status.get("phase") or "")
    starting = _initializing(pod)
    if starting:
        word = starting
    else:
        running = False
        for container in reversed(status.get("containerStatuses") or []):
            state = container.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                word = state["waiting"]["reason"]
            elif "terminated" in state:
                word = _ended(state["terminated"])
            elif container.get("ready") and "running" in state:
                running = True
        if word == "Completed" and running:
            word = "Running" if _is_ready(status) else "NotReady"
    if pod["metadata"].get("deletionTimestamp") and status.get("phase") not in ("Succeeded", "Failed"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return word


def _initializing(pod: Object) -> str:
    containers = pod["spec"].get("initContainers") or []
    for index, container in enumerate(_status(pod).get("initContainerStatuses") or []):
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated and terminated.get("exitCode", 0) == 0:
            continue
        if terminated:
            return f"Init:{_ended(terminated)}"
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(containers)}"
    return ""


def _ended(terminated: dict[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


def _is_ready(status: dict[str, Any]) -> bool:
    conditions = status.get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _restarts(pod: Object, now: datetime) -> str:
    containers = _status(pod).get("containerStatuses") or []
    count = sum(container.get("restartCount", 0) for container in containers)
    ends = [
        ended["finishedAt"]
        for container in containers
        if (ended := (container.get("lastState") or {}).get("terminated")) and ended.get("finishedAt")
    ]
    return f"{count} ({age_text(max(ends), now)} ago)" if count and ends else str(count)


def _readiness_gates(pod: Object, _now: datetime) -> str:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    conditions = _status(pod).get("conditions") or []
    met = {one.get("type") for one in conditions if one.get("status") == "True"}
    return f"{sum(1 for gate in gates if gate in met)}/{len(gates)}" if gates else NONE


POD_COLUMNS = (
    NAME,
    Column(
        "Ready",
        "string",
        _ready,
        description="The aggregate readiness state of this pod for accepting traffic.",
    ),
    Column("Status", "string", _word, description="The aggregate status of the containers in this pod."),
    Column(
        "Restarts", "string", _restarts, description="How often its containers were restarted, and when last."
    ),
    AGE,
    Column("IP", "string", field("status.podIP", NONE), 1),
    Column("Node", "string", field("spec.nodeName", NONE), 1),
    Column("Nominated Node", "string", field("status.nominatedNodeName", NONE), 1),
    Column("Readiness Gates", "string", _readiness_gates, 1),
)
