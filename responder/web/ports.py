"""What the web needs of the rest, as protocols: the pipeline fits them without importing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from responder.alerts.model import AlertGroup


class RefusedAlert(Protocol):
    """An alert that was delivered well but is not taken in, and the CamelCase reason."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def reason(self) -> str: ...


class Receipt(Protocol):
    """What became of a delivery. Accepted and held alerts are durably written."""

    @property
    def accepted(self) -> int:
        """How many alerts went to an incident."""
        ...

    @property
    def held(self) -> int:
        """How many were known already: the instance belongs to an incident that had it before."""
        ...

    @property
    def refused(self) -> Sequence[RefusedAlert]: ...


class WebhookReceiver(Protocol):
    """Takes alerts in."""

    def check_room(self) -> None:
        """Return when a delivery could be taken in now, else raise ResponderError: it need not be read."""
        ...

    async def receive(self, group: AlertGroup) -> Receipt:
        """Write a delivery down durably, or raise ResponderError so that Alertmanager sends it again."""
        ...

    async def refused(self, reason: str, message: str, peer: str) -> None:
        """Tell people, once a reason, that alerts could not be taken in."""
        ...


class InteractionReceiver(Protocol):
    """Takes clicks on Slack's buttons."""

    async def receive(self, payload: Mapping[str, Any]) -> None:
        """Write down what a verified block_actions payload asks for, or raise ResponderError."""
        ...


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """One thing this process needs for its work; the message says what is wrong, or nothing."""

    name: str
    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether alerts could be taken in and worked on now."""

    checks: tuple[ReadinessCheck, ...]

    @property
    def ready(self) -> bool:
        """True when every check is fine."""
        return all(check.ok for check in self.checks)
