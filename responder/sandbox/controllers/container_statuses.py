"""What a kubelet reports of a pod's containers: running, or crashed and waiting to be restarted.

Pure. Called by the kubelet.
Source: Kubernetes pkg/kubelet/kubelet_pods.go convertToAPIContainerStatuses.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from responder.sandbox.api.objects import Object, name_of, namespace_of, seconds_text
from responder.sandbox.controllers.crashes import Run
from responder.sandbox.controllers.fields import status_of, uid_of


def containers_of(pod: Object, *, ready: bool) -> list[Object]:
    """The statuses of containers that run since the pod started."""
    state = {"running": {"startedAt": status_of(pod)["startTime"]}}
    return [_status(pod, each, state, {}, restarts=0, ready=ready) for each in pod["spec"]["containers"]]


def crashing_containers_of(
    pod: Object, before: Run | None, run: Run, now: datetime, *, ready: bool
) -> list[Object]:
    """The statuses of containers that crash together: in their run now, or waiting for the next."""
    ended = run if now >= run.ends_at else before
    statuses = []
    for each in pod["spec"]["containers"]:
        state: dict[str, Any] = {"running": {"startedAt": seconds_text(run.began_at)}}
        if ended is run:
            state = {"waiting": _waiting(pod, each, run)}
        last = {"terminated": _terminated(pod, each, ended)} if ended is not None else {}
        statuses.append(_status(pod, each, state, last, restarts=run.restarts, ready=ready))
    return statuses


def _status(
    pod: Object, container: Object, state: Object, last: Object, *, restarts: int, ready: bool
) -> Object:
    return {
        "name": container["name"],
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": restarts,
        "image": container["image"],
        "imageID": f"sandbox://{container['image']}",
        "containerID": _container_id(pod, container),
        "started": "running" in state,
    }


def _waiting(pod: Object, container: Object, run: Run) -> Object:
    # Written as Go writes a duration: 10s, 1m20s, 5m0s.
    minutes, seconds = divmod(int(run.back_off.total_seconds()), 60)
    back_off = f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
    whose = f"{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"
    message = f"back-off {back_off} restarting failed container={container['name']} pod={whose}"
    return {"reason": "CrashLoopBackOff", "message": message}


def _terminated(pod: Object, container: Object, run: Run) -> Object:
    return {
        "exitCode": 1,
        "reason": "Error",
        "startedAt": seconds_text(run.began_at),
        "finishedAt": seconds_text(run.ends_at),
        "containerID": _container_id(pod, container),
    }


def _container_id(pod: Object, container: Object) -> str:
    return f"sandbox://{uid_of(pod)}-{container['name']}"
