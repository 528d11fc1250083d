"""Follows a story's incident in the cluster's store: where it stands, its phases so far, its guards.

Anybody may read the custom resource: this is no private channel to the responder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from responder.sandbox.api.store import Event, Store

INCIDENTS = "incidents.responder.dev"
# In these the verdicts are the guards'; afterwards they are the proofs'.
_JUDGED_IN = ("Open", "AwaitingDecision", "RollingBack")


@dataclass(slots=True)
class Witness:
    """The first incident that opened, as last seen; `guards` and `proofs` are the verdicts last recorded."""

    incident: dict[str, Any] | None = None
    phases: list[str] = field(default_factory=list)
    guards: list[dict[str, Any]] = field(default_factory=list)
    proofs: list[dict[str, Any]] = field(default_factory=list)
    received: dict[str, datetime] = field(default_factory=dict)
    """By alert name, when the incident first held it."""

    def follow(self, store: Store) -> Callable[[], None]:
        """Watch from now on; returns how to stop."""
        return store.subscribe(lambda event: self._observe(event, store.clock.now()))

    @property
    def status(self) -> dict[str, Any]:
        """The incident's status, empty before there is one."""
        return {} if self.incident is None else self.incident.get("status") or {}

    @property
    def phase(self) -> str:
        """The incident's phase, "" before there is one."""
        return self.phases[-1] if self.phases else ""

    def time(self, step: str) -> datetime | None:
        """When a step happened, by its name in status.times, such as trafficProvenAt."""
        text = (self.status.get("times") or {}).get(step)
        return None if text is None else datetime.fromisoformat(text)

    def _observe(self, event: Event, now: datetime) -> None:
        obj = event.object
        if event.resource.key != INCIDENTS or event.type == "DELETED":
            return
        if self.incident is not None and self.incident["metadata"]["uid"] != obj["metadata"]["uid"]:
            return
        self.incident = obj
        for alert in obj["spec"]["alerts"].values():
            self.received.setdefault(alert["labels"]["alertname"], now)
        phase = self.status.get("phase", "Open")
        if phase != self.phase:
            self.phases.append(phase)
        verdicts = self.status.get("verdicts") or []
        if phase in _JUDGED_IN:
            self.guards = verdicts
        elif verdicts != self.guards:
            self.proofs = verdicts
