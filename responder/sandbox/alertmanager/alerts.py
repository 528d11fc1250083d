"""Alerts as Alertmanager keeps them: fingerprints, the merge of repeated alerts, and their JSON. Pure.

Source: Prometheus common/model/fingerprinting.go; Alertmanager 0.25 types/types.go, api/v2/api.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from responder.sandbox.prometheus.labels import Labels, labels_of

RESOLVE_TIMEOUT = timedelta(minutes=5)
"""An alert sent without an end is taken for resolved after so long. Source: global.resolve_timeout."""

_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_ZERO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `timed_out_end` tells that nobody stated the end: it is a guess that any statement beats."""

    labels: Labels
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    generator_url: str = ""
    timed_out_end: bool = False
    fingerprint: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", fingerprint(self.labels))

    def resolved_at(self, now: datetime) -> bool:
        """Whether its end has come."""
        return self.ends_at <= now


def fingerprint(labels: Labels) -> str:
    """FNV-1a, 64 bits, over names and values in order, each ended by the byte 0xff; 16 hex digits."""
    value = _FNV_OFFSET
    for name, text in labels:
        for byte in name.encode() + b"\xff" + text.encode() + b"\xff":
            value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def merge(old: Alert | None, new: Alert, now: datetime) -> Alert:
    """The alert after hearing of it again: when the intervals overlap, the earliest start stays."""
    if old is None:
        return new
    overlaps = old.starts_at < new.ends_at < old.ends_at or old.starts_at < new.starts_at < old.ends_at
    if not overlaps:
        return new
    ends_at = new.ends_at
    if new.resolved_at(now):
        # The latest statement of an end wins when it had already ended.
        if old.resolved_at(now):
            ends_at = max(old.ends_at, new.ends_at)
    elif old.ends_at > new.ends_at and not old.timed_out_end:
        ends_at = old.ends_at
    return replace(new, starts_at=min(old.starts_at, new.starts_at), ends_at=ends_at)


class _PostedAlert(BaseModel):
    model_config = ConfigDict(extra="ignore")

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: AwareDatetime | None = None  # noqa: N815 - the wire's names
    endsAt: AwareDatetime | None = None  # noqa: N815
    generatorURL: str = ""  # noqa: N815


_POSTED = TypeAdapter(list[_PostedAlert])


def parse_posted(body: bytes, now: datetime) -> list[Alert]:
    """The alerts of a POST /api/v2/alerts. Raises ValueError."""
    try:
        alerts = [_received(posted, now) for posted in _POSTED.validate_json(body)]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"parsing alerts body failed, because {where}: {first['msg']}") from error
    if any(not alert.labels for alert in alerts):
        raise ValueError("at least one label pair required")
    return alerts


def _received(posted: _PostedAlert, now: datetime) -> Alert:
    starts_at = _unless_zero(posted.startsAt)
    ends_at = _unless_zero(posted.endsAt)
    return Alert(
        labels=labels_of(posted.labels),
        annotations={name: text for name, text in posted.annotations.items() if text},
        starts_at=starts_at or ends_at or now,
        ends_at=ends_at or now + RESOLVE_TIMEOUT,
        updated_at=now,
        generator_url=posted.generatorURL,
        timed_out_end=ends_at is None,
    )


def _unless_zero(at: datetime | None) -> datetime | None:
    return None if at is None or at == _ZERO else at.astimezone(UTC)


def go_time(at: datetime | None) -> str:
    """An instant as Go marshals it: fractions without trailing zeros, the zero time for None."""
    if at is None:
        return "0001-01-01T00:00:00Z"
    fraction = f".{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def show_labels(labels: Labels) -> str:
    """As Alertmanager writes a label set inside a group key."""
    return "{" + ", ".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def webhook_alert(alert: Alert, now: datetime) -> dict[str, Any]:
    """The alert inside a webhook payload; one that still fires has no end."""
    resolved = alert.resolved_at(now)
    return {
        "status": "resolved" if resolved else "firing",
        "labels": dict(alert.labels),
        "annotations": alert.annotations,
        "startsAt": go_time(alert.starts_at),
        "endsAt": go_time(alert.ends_at if resolved else None),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }
