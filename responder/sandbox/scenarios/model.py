"""What a scenario file says: workloads with their traffic, and events over time.

Pure; pydantic checks the shape. Read by load, played by play.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from responder.sandbox.scenarios.actions import (
    Action,
    DeletePods,
    Duration,
    Fault,
    Name,
    Outage,
    Part,
    Quota,
    Release,
    Replicas,
    Scale,
    Stall,
    TrafficChange,
    Unreachable,
    Version,
    Watches,
    Webhook,
)


class Workload(Version):
    """A Deployment with its Service, there from the beginning, and its traffic."""

    namespace: Name = "default"
    name: Name
    replicas: Replicas = 3
    requests_per_second: float = Field(default=50.0, ge=0, le=10_000)

    @property
    def place(self) -> str:
        """namespace/name, as events name it."""
        return f"{self.namespace}/{self.name}"


class Event(Part):
    """One thing that happens, so long after the beginning."""

    at: Duration
    release: Release | None = None
    scale: Scale | None = None
    traffic: TrafficChange | None = None
    fault: Fault | None = None
    outage: Outage | None = None
    unreachable: Unreachable | None = None
    watches: Watches | None = None
    quota: Quota | None = None
    webhook: Webhook | None = None
    stall: Stall | None = None
    delete_pods: DeletePods | None = None

    @property
    def action(self) -> Action:
        """What happens."""
        (only,) = self._actions()
        return only

    def _actions(self) -> list[Action]:
        named = (
            self.release,
            self.scale,
            self.traffic,
            self.fault,
            self.outage,
            self.unreachable,
            self.watches,
            self.quota,
            self.webhook,
            self.stall,
            self.delete_pods,
        )
        return [each for each in named if each is not None]

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if len(self._actions()) != 1:
            names = [to_camel(name) for name in type(self).model_fields if name != "at"]
            raise ValueError(f"an event has exactly one of {', '.join(names)} beside at")
        return self


class NoSuchWorkloadError(ValueError):
    """An event names a workload that the scenario has not; `place` is where in it that is."""

    def __init__(self, message: str, place: tuple[str | int, ...]) -> None:
        super().__init__(message)
        self.place = place


class Scenario(Part):
    """The whole file. rules: a rule file or a folder of them, from the scenario's own folder."""

    api_version: Literal["responder.dev/v1alpha1"]
    kind: Literal["SandboxScenario"]
    seed: int = 1
    rules: str | None = None
    scrape_interval: Duration = timedelta(seconds=5)
    workloads: tuple[Workload, ...] = Field(max_length=50)
    events: tuple[Event, ...] = Field(default=(), max_length=1_000)

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        known = [each.place for each in self.workloads]
        if not known:
            raise ValueError("a scenario has at least one of workloads")
        if len(set(known)) < len(known):
            raise ValueError("two workloads have the same namespace and name")
        for index, event in enumerate(self.events):
            place = getattr(event.action, "workload", None)
            if place is not None and place not in known:
                message = f"there is no workload {place}: the workloads are {', '.join(known)}"
                raise NoSuchWorkloadError(message, ("events", index))
        return self
