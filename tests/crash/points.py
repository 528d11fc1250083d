"""The steps of a responder as the servers see them, by stable names, and the gate that kills it at one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from responder.clock import Clock
from responder.incidents.record import WorkloadRecordSpec
from responder.sandbox.api.store import Store
from responder.sandbox.gate import Handler

# Long enough for the process to take the answer in, too short for much else.
_AFTER_ANSWER_SECONDS = 0.003
_NO_STEPS = ("/authorization.k8s.io/", "/leases")
_RECORDS = "workloadrecords.responder.dev"


class Moment(StrEnum):
    """When the process is killed, as seen from the request that is the step."""

    BEFORE = "before"
    """It has arrived and is not carried out."""
    BETWEEN = "between"
    """It is carried out, and the answer is never sent: between effect and record."""
    AFTER = "after"
    """The answer has just been sent."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where to kill: the step's name, and the moment."""

    step: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} {self.step}"


# What people or the workload see of it. Each is followed by the record that it happened.
_EFFECTS = ("PATCH deployments", "POST ", "Slack postMessage", "PagerDuty trigger")
# Steps of one kind that come again and again differ in a number: so many of each are killed at.
_ALIKE = 2


def select_points(steps: Sequence[str], moments: Collection[Moment], *, every: bool) -> list[Point]:
    """The points of a story: each step with each moment.

    Without `every`: no more than the first two steps of a kind; and AFTER, which leaves to a new process what
    BETWEEN leaves, only for effects.
    """
    return [
        Point(step, moment)
        for step in steps
        for moment in Moment
        if every
        or (
            moment in moments
            and (moment is not Moment.AFTER or step.startswith(_EFFECTS))
            and int(step.rpartition(" #")[2] if " #" in step else 1) <= _ALIKE
        )
    ]


@dataclass(slots=True)
class KillGate:
    """Lets every request pass and notes the steps that took effect; at the point it kills, once."""

    store: Store
    clock: Clock
    kill: Callable[[], None]
    point: Point | None = None
    steps: list[str] = field(default_factory=list)
    killed: bool = False
    _counts: Counter[str] = field(default_factory=Counter)

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Carry a request out, or not, or without an answer."""
        name = await self._name(request)
        if name is None:
            return await handler(request)
        step = f"{name} #{self._counts[name] + 1}" if self._counts[name] else name
        moment = None if self.point is None or self.killed or self.point.step != step else self.point.moment
        if moment is Moment.BEFORE:
            return self._strike(request)
        response = await handler(request)
        if response.status >= 300:
            return response
        self._counts[name] += 1
        self.steps.append(step)
        if moment is Moment.BETWEEN:
            return self._strike(request)
        if moment is Moment.AFTER:
            await response.prepare(request)
            await response.write_eof()
            await self.clock.sleep(_AFTER_ANSWER_SECONDS)
            return self._strike(request)
        return response

    def _strike(self, request: web.Request) -> web.Response:
        self.kill()
        self.killed = True
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _name(self, request: web.Request) -> str | None:
        """The step that a request is; None where it changes nothing that lasts."""
        dry_run = "dryRun" in request.query
        if request.method == "GET" or dry_run or any(part in request.path for part in _NO_STEPS):
            return None
        if not request.path.startswith("/api"):
            return _inbox_step(request.path, await request.read())
        if request.path.startswith(("/api/chat.", "/api/conversations.", "/api/auth.")):
            return _inbox_step(request.path, await request.read())
        return self._cluster_step(request.method, request.path, json.loads(await request.read() or b"{}"))

    def _cluster_step(self, method: str, path: str, body: Any) -> str:
        parts = path.split("/namespaces/")[-1].split("/")
        namespace, resource, name = parts[0], parts[1], parts[2] if len(parts) > 2 else ""
        where = f"{method} {resource}"
        if resource == "incidents" and path.endswith("/status"):
            return f"{where}/status {_status(body['status'])}"
        if resource == "incidents" and method == "PATCH":
            return f"{where} {'alerts' if 'spec' in body else 'unmark'}"
        if resource == "workloadrecords" and method == "PATCH":
            known = self.store.get(_RECORDS, namespace, name) or {"spec": body["spec"]}
            return f"{where} {_changed(known['spec'], body['spec'])}"
        return where


def _status(status: Mapping[str, Any]) -> str:
    if "phase" not in status:
        told = status["notifications"]
        return "told " + "+".join(sorted(channel for channel, state in told.items() if state))
    return f"{status['phase']} {status.get('outcome') or status.get('reason')}"


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The members of a record that a patch changes."""
    fields = WorkloadRecordSpec.model_fields
    before, after = WorkloadRecordSpec.model_validate(old), WorkloadRecordSpec.model_validate(new)
    return "+".join(name for name in fields if getattr(before, name) != getattr(after, name)) or "nothing"


def _inbox_step(path: str, body: bytes) -> str | None:
    method = path.rpartition("/")[2]
    if path.startswith("/actions/"):
        return "answer to the click"
    if path.endswith("/change/enqueue"):
        return "PagerDuty change"
    if method == "enqueue":
        return f"PagerDuty {json.loads(body)['event_action']}"
    if not method.startswith("chat."):
        return None
    text = body.decode()
    said = json.loads(text) if text.startswith("{") else dict(parse_qsl(text))
    headline = str(said["text"]).partition(":")[0]
    return f"Slack {method.removeprefix('chat.')} '{headline}'"
