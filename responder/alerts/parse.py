"""Alertmanager's JSON (webhook version 4, and the alerts of its API) -> Alert. Pure.

Strict in what decisions rest on, lenient towards fields that newer versions add. Called by the web intake and
by the Alertmanager client.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from responder.alerts.model import Alert, AlertGroup
from responder.errors import Permanent

T = TypeVar("T")

# Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
WEBHOOK_VERSION = "4"


class Refusal(StrEnum):
    """Why a delivery was not taken in; the same token in the answer, the log, the metric and the page."""

    MALFORMED_JSON = "MalformedJSON"
    WRONG_TYPE = "WrongType"
    MISSING_FIELD = "MissingField"
    INVALID_VALUE = "InvalidValue"
    UNKNOWN_VERSION = "UnknownVersion"
    TOO_MANY_ALERTS = "TooManyAlerts"
    BODY_TOO_LARGE = "BodyTooLarge"
    UNAUTHORIZED = "Unauthorized"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"


class WebhookError(Permanent):
    """A delivery that can't be taken in, and the HTTP status that says so to the sender."""

    def __init__(self, reason: Refusal, message: str, http_status: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.http_status = http_status


def parse_webhook(body: bytes, *, max_alerts: int) -> AlertGroup:
    """The alerts of one webhook delivery, all or none.

    Raises WebhookError: 400 for what is no JSON, 413 above max_alerts, 422 for JSON that says something else.
    """
    content = _parse_json(body)
    if not isinstance(content, dict):
        raise WebhookError(Refusal.WRONG_TYPE, "the body must be a JSON object", 422)
    # The version first: in another one every other complaint would mislead.
    version = content.get("version")
    if version != WEBHOOK_VERSION:
        raise WebhookError(
            Refusal.UNKNOWN_VERSION,
            f"webhook version {repr(version)[:20]} is not known; this responder takes the string"
            f" {WEBHOOK_VERSION!r}",
            422,
        )
    alerts = content.get("alerts")
    if isinstance(alerts, list) and len(alerts) > max_alerts:
        raise WebhookError(
            Refusal.TOO_MANY_ALERTS,
            f"{len(alerts)} alerts in one delivery, {max_alerts} are allowed; group alerts by workload"
            " (group_by: [namespace, deployment, alertname]) or raise RESPONDER_MAX_ALERTS",
            413,
        )
    group = _validated(_WEBHOOK, content)
    return AlertGroup(
        receiver=group.receiver,
        group_key=group.groupKey,
        external_url=group.externalURL,
        truncated_alerts=group.truncatedAlerts,
        alerts=tuple(_webhook_alert(alert, index) for index, alert in enumerate(group.alerts)),
    )


def parse_api_alerts(body: bytes) -> tuple[Alert, ...]:
    """The alerts in an answer of GET /api/v2/alerts. They all fire: the API leaves out resolved ones.

    Raises WebhookError as parse_webhook does.
    Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml, gettableAlerts
    """
    # Their endsAt is when Alertmanager would give up hearing of them, not an end that happened.
    return tuple(_alert(alert, ends_at=None) for alert in _validated(_API_ALERTS, _parse_json(body)))


def _parse_json(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise WebhookError(Refusal.MALFORMED_JSON, f"the body is not JSON: {error}", 400) from error


# Source: RFC 3339 section 5.6; Go writes up to nine digits of a second, Python keeps six.
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:(\.\d{1,6})\d*)?([Zz]|[+-]\d\d:\d\d)")

# Go's zero time stands for "none".
_ZERO = datetime(1, 1, 1, tzinfo=UTC)


def _parse_instant(value: object) -> datetime:
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a time such as 2026-01-31T12:00:00.123456789Z")
    day, time, fraction, offset = match.groups()
    offset = "+00:00" if offset in "Zz" else offset
    parsed = datetime.fromisoformat(f"{day}T{time}{fraction or ''}{offset}")
    try:
        return parsed.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999") from error


_Instant = Annotated[datetime, BeforeValidator(_parse_instant)]


class _AlertBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: _Instant  # noqa: N815 - Alertmanager's spelling, here and below
    generatorURL: str = ""  # noqa: N815
    # Alertmanager's have 16 characters.
    fingerprint: str = Field(min_length=1, max_length=64)


class _WebhookAlertBody(_AlertBody):
    status: Literal["firing", "resolved"]
    endsAt: _Instant = _ZERO  # noqa: N815


class _WebhookBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    receiver: str = ""
    groupKey: str = ""  # noqa: N815
    externalURL: str = ""  # noqa: N815
    truncatedAlerts: int = Field(default=0, ge=0)  # noqa: N815
    alerts: list[_WebhookAlertBody]


_WEBHOOK = TypeAdapter(_WebhookBody)
_API_ALERTS = TypeAdapter(list[_AlertBody])


def _validated(adapter: TypeAdapter[T], content: object) -> T:
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False, include_input=False)[0]) from error


def _refusal(detail: ErrorDetails) -> WebhookError:
    """One complaint is enough for the person who mends the sender."""
    if detail["type"] == "missing":
        reason = Refusal.MISSING_FIELD
    elif detail["type"].endswith("_type"):
        reason = Refusal.WRONG_TYPE
    else:
        reason = Refusal.INVALID_VALUE
    complaint = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("model_type", "dict_type"):
        complaint = "must be a JSON object"
    return WebhookError(reason, f"{_path(detail['loc'])}: {complaint}", 422)


def _path(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".")[:200] or "the body"


def _webhook_alert(body: _WebhookAlertBody, index: int) -> Alert:
    if body.status == "firing":
        return _alert(body, ends_at=None)
    if body.endsAt == _ZERO:
        raise WebhookError(
            Refusal.INVALID_VALUE, f"alerts[{index}].endsAt: a resolved alert must say when it ended", 422
        )
    return _alert(body, ends_at=body.endsAt)


def _alert(body: _AlertBody, *, ends_at: datetime | None) -> Alert:
    return Alert(
        fingerprint=body.fingerprint,
        labels=body.labels,
        annotations=body.annotations,
        starts_at=body.startsAt,
        ends_at=ends_at,
        generator_url=body.generatorURL,
    )
