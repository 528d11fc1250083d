"""The real application between hand-written ends: an intake and an interaction receiver that remember."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from responder.alerts.model import AlertGroup
from responder.clock import Clock
from responder.errors import ResponderError
from responder.settings import Settings
from responder.telemetry import Metrics
from responder.web import Readiness, ReadinessCheck, web_app


@dataclass(frozen=True)
class Refused:
    fingerprint: str
    reason: str


@dataclass(frozen=True)
class Receipt:
    accepted: int
    held: int = 0
    refused: tuple[Refused, ...] = ()


@dataclass
class Intake:
    """Takes every delivery in, unless told what to do instead."""

    instead: Callable[[AlertGroup], Awaitable[Receipt]] | None = None
    groups: list[AlertGroup] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    telling_fails: Exception | None = None
    full: ResponderError | None = None

    def check_room(self) -> None:
        if self.full is not None:
            raise self.full

    async def receive(self, group: AlertGroup) -> Receipt:
        if self.instead is not None:
            return await self.instead(group)
        self.groups.append(group)
        return Receipt(accepted=len(group.alerts))

    async def refused(self, reason: str, message: str, peer: str) -> None:
        assert peer == "127.0.0.1"
        if self.telling_fails is not None:
            raise self.telling_fails
        self.told.append((reason, message))


@dataclass
class Interactions:
    """Takes every click, unless told what to do instead."""

    instead: Callable[[], Awaitable[None]] | None = None
    payloads: list[Mapping[str, Any]] = field(default_factory=list)

    async def receive(self, payload: Mapping[str, Any]) -> None:
        if self.instead is not None:
            await self.instead()
        self.payloads.append(payload)


class StoppedClock:
    """Always the same instant."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the web waits for nothing")


class Door:
    """The application and what stands behind it."""

    def __init__(self, **settings: Any) -> None:
        self.intake = Intake()
        self.interactions = Interactions()
        self.metrics = Metrics()
        self.checks: tuple[ReadinessCheck, ...] = (ReadinessCheck("rules", True),)
        self.clock: Clock = StoppedClock()
        self.settings = Settings(
            prometheus_url="http://prometheus:9090",
            **{"webhook_token": "open sesame", "slack_signing_secret": "shhh", **settings},
        )

    def app(self) -> web.Application:
        return web_app(
            self.intake,
            self.interactions,
            lambda: Readiness(self.checks),
            self.metrics,
            self.settings,
            self.clock,
        )

    def metric(self, line: str) -> float:
        """The value of one metric line, 0 where it was never counted."""
        for shown in self.metrics.render().decode().splitlines():
            if shown.startswith(f"{line} "):
                return float(shown.removeprefix(f"{line} "))
        return 0.0


@pytest.fixture
def opened() -> Callable[..., Any]:
    """Make a door; arguments are settings."""
    return Door
