"""PagerDuty's Events API v2, played strictly: takes events, keeps the alert that each dedup key stands for.

Source: https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from aiohttp import web

from responder.clock import Clock
from responder.sandbox.api.faults import Faults
from responder.sandbox.inboxes.faults import with_faults
from responder.sandbox.inboxes.rate_limits import RateLimit

_MAX_BYTES = 512 * 1024
_MAX_ALERTS = 10_000
_MAX_EVENTS = 1_000
_ACTIONS = ("trigger", "acknowledge", "resolve")
_SEVERITIES = ("critical", "error", "warning", "info")
_EVENT_KEYS = {
    "routing_key", "event_action", "dedup_key", "payload",
    "client", "client_url", "links", "images",
}  # fmt: skip
_CHANGE_KEYS = {"routing_key", "payload", "links", "images"}
_CHANGE_PAYLOAD_KEYS = {"summary", "source", "timestamp", "custom_details"}
_PAYLOAD_KEYS = {
    "summary", "source", "severity", "timestamp",
    "component", "group", "class", "custom_details",
}  # fmt: skip


Check = Callable[[object, str], list[str]]
Take = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class AlertState(StrEnum):
    """Where an alert stands."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Event:
    """One event that was taken."""

    action: str
    payload: Mapping[str, Any]
    at: datetime


@dataclass(slots=True)
class PagedAlert:
    """The alert of a dedup key, with every event that it got. `pages` counts how often somebody was paged."""

    dedup_key: str
    state: AlertState
    pages: int = 0
    events: list[Event] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """What the last trigger said."""
        said = [event.payload["summary"] for event in self.events if event.action == "trigger"]
        return str(said[-1]) if said else ""


@dataclass(slots=True)
class PagerDutyInbox:
    """One integration of one service. `ignored` are events that PagerDuty takes and that change nothing.

    `changes` are the payloads of change events, oldest first: they page nobody. Faults: add to `faults`; set
    `limits_rate` to have refused with 429 what is more than 120 events in a minute.
    """

    clock: Clock
    routing_key: str = "5a4dbc0ffee05a4dbc0ffee05a4dbc0f"
    alerts: dict[str, PagedAlert] = field(default_factory=dict)
    ignored: list[tuple[str, Event]] = field(default_factory=list)
    changes: list[Mapping[str, Any]] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    limits_rate: bool = False
    # Source: https://community.pagerduty.com/forum/t/monitoring-api-rate-limiting/3318
    _events: RateLimit = field(default_factory=lambda: RateLimit(120, timedelta(minutes=1)), init=False)

    def routes(self) -> list[web.RouteDef]:
        """POST /v2/enqueue for alerts, POST /v2/change/enqueue for changes."""
        return [
            web.post("/v2/enqueue", self._serve_event),
            web.post("/v2/change/enqueue", self._serve_change),
        ]

    async def _serve_event(self, request: web.Request) -> web.StreamResponse:
        def take(event: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"status": "success", "message": "Event processed", "dedup_key": self._take(event)}

        return await self._serve(request, check_event, take)

    async def _serve_change(self, request: web.Request) -> web.StreamResponse:
        def take(event: Mapping[str, Any]) -> Mapping[str, Any]:
            if len(self.changes) < _MAX_EVENTS:
                self.changes.append(event["payload"])
            return {"status": "success", "message": "Change event processed"}

        return await self._serve(request, check_change, take)

    async def _serve(self, request: web.Request, check: Check, take: Take) -> web.StreamResponse:
        async def call() -> web.StreamResponse:
            body = await request.read()
            if len(body) > _MAX_BYTES:
                return _refusal(413, ["event is larger than 512 KB"])
            try:
                event = json.loads(body)
            except ValueError:
                return _refusal(400, ["JSON could not be parsed"])
            problems = check(event, self.routing_key)
            if problems:
                return _refusal(400, problems)
            if self._events.take(self.routing_key, self.clock.now()) and self.limits_rate:
                return web.json_response(_fault_body(429), status=429)
            return web.json_response(take(event), status=202)

        return await with_faults(self.faults, self.clock, request, call, _fault_body)

    def _take(self, event: Mapping[str, Any]) -> str:
        """Apply a valid event and return its dedup key, which a trigger may leave to us."""
        key = event.get("dedup_key") or f"generated-{len(self.alerts) + 1}"
        taken = Event(event["event_action"], event.get("payload", {}), self.clock.now())
        alert = self.alerts.get(key)
        full = alert is None and len(self.alerts) >= _MAX_ALERTS
        full = full or (alert is not None and len(alert.events) >= _MAX_EVENTS)
        over = alert is None or alert.state is AlertState.RESOLVED
        if full or (over and taken.action != "trigger"):
            if len(self.ignored) < _MAX_EVENTS:
                self.ignored.append((key, taken))
            return key
        if alert is None:
            alert = self.alerts.setdefault(key, PagedAlert(key, AlertState.TRIGGERED))
        _apply(alert, taken, over=over)
        return key


def _apply(alert: PagedAlert, event: Event, *, over: bool) -> None:
    """A trigger after a resolve pages again; one on an open alert only adds to it."""
    alert.events.append(event)
    match event.action:
        case "trigger" if over:
            alert.state = AlertState.TRIGGERED
            alert.pages += 1
        case "acknowledge":
            alert.state = AlertState.ACKNOWLEDGED
        case "resolve":
            alert.state = AlertState.RESOLVED


def check_event(event: object, routing_key: str) -> list[str]:
    """What is wrong with an event; empty when nothing is."""
    if not isinstance(event, dict):
        return ["event is not an object"]
    problems = _check_envelope(event, _EVENT_KEYS, routing_key)
    action = event.get("event_action")
    if action not in _ACTIONS:
        problems.append("'event_action' is missing or not one of trigger, acknowledge, resolve")
    key = event.get("dedup_key")
    if key is None and action != "trigger":
        problems.append("'dedup_key' is missing or blank")
    elif key is not None and not (isinstance(key, str) and 0 < len(key) <= 255):
        problems.append("'dedup_key' is not a string of 1 to 255 characters")
    return problems + (_check_payload(event.get("payload")) if action == "trigger" else [])


def check_change(event: object, routing_key: str) -> list[str]:
    """What is wrong with a change event; empty when nothing is.

    Source: https://developer.pagerduty.com/docs/send-change-event
    """
    if not isinstance(event, dict):
        return ["event is not an object"]
    problems = _check_envelope(event, _CHANGE_KEYS, routing_key)
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return [*problems, "'payload' is missing or not an object"]
    unknown = sorted(payload.keys() - _CHANGE_PAYLOAD_KEYS)
    problems += [f"'payload.{key}' is not a known property" for key in unknown]
    summary = payload.get("summary")
    if not isinstance(summary, str) or not 0 < len(summary) <= 1024:
        problems.append("'payload.summary' is missing, blank or longer than 1024 characters")
    if not isinstance(payload.get("custom_details", {}), dict):
        problems.append("'payload.custom_details' is not an object")
    return problems


def _check_envelope(event: Mapping[str, Any], known: set[str], routing_key: str) -> list[str]:
    problems = [f"'{key}' is not a known property" for key in sorted(event.keys() - known)]
    given = event.get("routing_key")
    if not isinstance(given, str) or len(given) != 32:
        problems.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    elif given != routing_key:
        problems.append("'routing_key' is invalid")
    return problems


def _check_payload(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or not an object"]
    problems = [f"'payload.{key}' is not a known property" for key in sorted(payload.keys() - _PAYLOAD_KEYS)]
    for key in ("summary", "source", "severity"):
        if not isinstance(payload.get(key), str) or not payload[key].strip():
            problems.append(f"'payload.{key}' is missing or blank")
    if len(str(payload.get("summary", ""))) > 1024:
        problems.append("'payload.summary' is longer than 1024 characters")
    if payload.get("severity") not in _SEVERITIES:
        problems.append("'payload.severity' is not one of critical, error, warning, info")
    for key in ("component", "group", "class"):
        if not isinstance(payload.get(key, ""), str):
            problems.append(f"'payload.{key}' is not a string")
    if not isinstance(payload.get("custom_details", {}), dict):
        problems.append("'payload.custom_details' is not an object")
    return problems


def _refusal(code: int, problems: list[str]) -> web.Response:
    body = {"status": "invalid event", "message": "Event object is invalid", "errors": problems}
    return web.json_response(body, status=code)


def _fault_body(code: int) -> dict[str, Any]:
    # This API says nothing of how long to wait, here or in a header.
    said = "Requests for this service are arriving too quickly" if code == 429 else "Internal error"
    return {"status": "throttle exceeded" if code == 429 else "error", "message": said, "errors": []}
