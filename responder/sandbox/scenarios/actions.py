"""What a scenario's events can do: one section of the file for each.

Pure; pydantic checks the shape. Part of the model, done by play.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from responder.rules.findings import TextError
from responder.rules.quantities import parse_duration
from responder.sandbox.traffic.behaviour import BehaviourError, parse_behaviour


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


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


Duration = Annotated[timedelta, BeforeValidator(_to_duration)]
Latency = Annotated[str, AfterValidator(_check_latency)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
Share = Annotated[float, Field(ge=0, le=1)]
Replicas = Annotated[int, Field(ge=0, le=500)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Place = Annotated[str, Field(pattern=r"^[a-z0-9][-a-z0-9]*/[a-z0-9][-a-z0-9]*$")]


class Part(BaseModel):
    """A section of the file: unknown members are mistakes, members are written in camelCase."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Version(Part):
    """A version of a workload, and how its pods behave."""

    version: str = "v1"
    error_rate: Share = 0.0
    latency_p95: Latency = Field(default="120ms", alias="latencyP95")
    ready_after: Duration | None = None
    never_ready: bool = False
    crash_every: Duration | None = None


class Release(Version):
    """Deliver a version."""

    workload: Place
    change_cause: str | None = None


class Scale(Part):
    """Change the number of replicas, as a person or an autoscaler does."""

    workload: Place
    replicas: Replicas


class TrafficChange(Part):
    """Change how many requests come in."""

    workload: Place
    requests_per_second: float = Field(ge=0, le=10_000)


class Fault(Part):
    """Have the API server mistreat requests whose path and query match a pattern.

    refuse answers with code; delay takes seconds; drop-before and drop-after close the connection before or
    after the request took effect; hang never answers. Ends after count hits, or after a time.
    """

    effect: Literal["refuse", "delay", "drop-before", "drop-after", "hang"]
    method: str = "*"
    path: Pattern = "."
    code: int = Field(default=503, ge=400, le=599)
    retry_after_seconds: int | None = Field(default=None, ge=0)
    seconds: float = Field(default=1.0, ge=0)
    count: int | None = Field(default=None, ge=1)
    lasts: Duration | None = Field(default=None, alias="for")


class Outage(Part):
    """Have the API server, the built-in Prometheus or the built-in Alertmanager fail for a time.

    unavailable answers 503; down is as dead, and afterwards all is forgotten where losesData says so (the API
    server loses its history, never its objects); a Prometheus may also be slow, by so many seconds an answer.
    """

    of: Literal["api", "prometheus", "alertmanager"]
    kind: Literal["unavailable", "down", "slow"] = "down"
    seconds: float = Field(default=5.0, ge=0)
    loses_data: bool = False
    lasts: Duration = Field(alias="for")

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.kind == "slow" and self.of != "prometheus":
            raise ValueError("only prometheus can be slow; for api write a fault with effect delay")
        if self.loses_data and (self.kind != "down" or self.of == "api"):
            raise ValueError("only a Prometheus or an Alertmanager that is down can lose its data")
        return self


class Unreachable(Part):
    """Have pods, by a pattern that is found in namespace/pod, not be scraped for a time."""

    pods: Pattern
    lasts: Duration = Field(alias="for")


class Watches(Part):
    """Have watches whose path and query match a pattern fail.

    Those that are open expire (410), break, or hang (stay open and tell nothing any more); lag tells
    everything so many seconds late for a time, to new ones as well.
    """

    effect: Literal["expire", "break", "hang", "lag"]
    path: Pattern = "."
    seconds: float = Field(default=5.0, ge=0)
    lasts: Duration = Field(default=timedelta(minutes=1), alias="for")


class Quota(Part):
    """Allow a namespace so many pods, for a time or from then on."""

    namespace: Name
    pods: Annotated[int, Field(ge=0)]
    lasts: Duration | None = Field(default=None, alias="for")


class Webhook(Part):
    """Put an admission webhook in force: it denies writes, or changes the pod templates in them.

    resource is as kubectl writes it: deployments.apps, pods, or deployments.apps/scale. It ends after count
    writes that it denied or changed, or after a time.
    """

    name: str = "webhook.sandbox.responder.dev"
    resource: str = "deployments.apps"
    namespace: Name | None = None
    operations: tuple[Literal["CREATE", "UPDATE"], ...] = ("CREATE", "UPDATE")
    deny: str | None = Field(default=None, min_length=1)
    sidecar: str | None = Field(default=None, min_length=1)
    annotations: dict[str, str] = Field(default_factory=dict)
    count: int | None = Field(default=None, ge=1)
    lasts: Duration | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _check_deed(self) -> Self:
        changes = self.sidecar is not None or bool(self.annotations)
        if changes == (self.deny is not None):
            raise ValueError("a webhook has either deny (the reason it gives) or sidecar and annotations")
        return self


class Stall(Part):
    """Let a controller stand still for a time."""

    controller: Literal["deployment", "replicaset", "endpointslice", "statefulset", "daemonset", "kubelet"]
    lasts: Duration = Field(alias="for")


class DeletePods(Part):
    """Delete pods of a workload, as somebody with kubectl does."""

    workload: Place
    count: int = Field(default=1, ge=1)


Action = (
    Release
    | Scale
    | TrafficChange
    | Fault
    | Outage
    | Unreachable
    | Watches
    | Quota
    | Webhook
    | Stall
    | DeletePods
)
