"""What a scenario file says: workloads with their traffic, and events over time.

Pure; pydantic checks the shape. Read by load, played by play.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from responder.rules.findings import TextError
from responder.rules.quantities import parse_duration
from responder.sandbox.traffic.behaviour import BehaviourError, parse_behaviour

API_VERSION, KIND = "responder.dev/v1alpha1", "SandboxScenario"


def _to_duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise ValueError("write a duration with its unit, such as 30s or 5m")
    try:
        return parse_duration(value)
    except TextError as error:
        raise ValueError(error.message) from None


def _check_latency(text: str) -> str:
    try:
        parse_behaviour(None, text)
    except BehaviourError:
        raise ValueError(f"{text!r} is no latency: write one such as 120ms or 4s") from None
    return text


Duration = Annotated[timedelta, BeforeValidator(_to_duration)]
Latency = Annotated[str, AfterValidator(_check_latency)]
Share = Annotated[float, Field(ge=0, le=1)]
Replicas = Annotated[int, Field(ge=0, le=500)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Place = Annotated[str, Field(pattern=r"^[a-z0-9][-a-z0-9]*/[a-z0-9][-a-z0-9]*$")]


class _Part(BaseModel):
    """A section of the file: unknown members are mistakes, members are written in camelCase."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Version(_Part):
    """A version of a workload, and how its pods behave."""

    version: str = "v1"
    error_rate: Share = 0.0
    latency_p95: Latency = Field(default="120ms", alias="latencyP95")
    ready_after: Duration | None = None
    never_ready: bool = False


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


class Release(Version):
    """Deliver a version."""

    workload: Place
    change_cause: str | None = None


class Scale(_Part):
    """Change the number of replicas, as a person or an autoscaler does."""

    workload: Place
    replicas: Replicas


class TrafficChange(_Part):
    """Change how many requests come in."""

    workload: Place
    requests_per_second: float = Field(ge=0, le=10_000)


class Fault(_Part):
    """Have the API server mistreat requests whose path and query match a pattern.

    refuse answers with code; delay takes seconds; drop-before and drop-after close the connection before or
    after the request took effect; hang never answers. Ends after count hits, or after a time.
    """

    effect: Literal["refuse", "delay", "drop-before", "drop-after", "hang"]
    method: str = "*"
    path: str = "."
    code: int = Field(default=503, ge=400, le=599)
    retry_after_seconds: int | None = Field(default=None, ge=0)
    seconds: float = Field(default=1.0, ge=0)
    count: int | None = Field(default=None, ge=1)
    lasts: Duration | None = Field(default=None, alias="for")


class Outage(_Part):
    """Have the built-in Prometheus or Alertmanager fail: unavailable answers 503, down is as dead."""

    of: Literal["prometheus", "alertmanager"]
    kind: Literal["unavailable", "down"] = "down"
    lasts: Duration = Field(alias="for")


class Stall(_Part):
    """Let a controller stand still for a time."""

    controller: Literal["deployment", "replicaset", "endpointslice", "statefulset", "daemonset", "kubelet"]
    lasts: Duration = Field(alias="for")


class DeletePods(_Part):
    """Delete pods of a workload, as somebody with kubectl does."""

    workload: Place
    count: int = Field(default=1, ge=1)


Action = Release | Scale | TrafficChange | Fault | Outage | Stall | DeletePods


class Event(_Part):
    """One thing that happens, so long after the beginning."""

    at: Duration
    release: Release | None = None
    scale: Scale | None = None
    traffic: TrafficChange | None = None
    fault: Fault | None = None
    outage: Outage | None = None
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
            self.stall,
            self.delete_pods,
        )
        return [each for each in named if each is not None]

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if len(self._actions()) != 1:
            names = "release, scale, traffic, fault, outage, stall and deletePods"
            raise ValueError(f"an event has exactly one of {names} beside at")
        return self


class Scenario(_Part):
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
        for event in self.events:
            place = getattr(event.action, "workload", None)
            if place is not None and place not in known:
                raise ValueError(f"an event names {place}, but the workloads are {', '.join(known)}")
        return self
