"""The shapes of what an operator sets: how each value is read, checked, and described to a person. Pure.

Read by settings.py alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from yarl import URL

# What deploy/secret.example.yaml has in place of each secret.
_PLACEHOLDER = "CHANGE-ME"
_EXAMPLE_URL = "http://prometheus:9090"

_WHOLE_DAYS = "must be whole days from 1d to 365d, such as 30d"

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def _parse_duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if not value or match is None:
        raise ValueError("must be a duration such as 10s, 5m or 1h30m")
    days, hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def _parse_days(value: object) -> object:
    try:
        return _parse_duration(value)
    except ValueError:
        raise ValueError(_WHOLE_DAYS) from None


def _check_positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


def _check_whole_days(value: timedelta) -> timedelta:
    if value % timedelta(days=1) or not timedelta(days=1) <= value <= timedelta(days=365):
        raise ValueError(_WHOLE_DAYS)
    return value


def _check_not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("must not be negative")
    return value


def _check_url(value: str) -> str:
    try:
        url = URL(value)
        usable = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"must be an address such as {_EXAMPLE_URL}")
    return value


def split(value: object) -> object:
    return [part for part in re.split(r"[,\s]+", value) if part] if isinstance(value, str) else value


def check_listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ValueError("must be HOST:PORT, such as 0.0.0.0:8080 or [::1]:8080")
    return value


@dataclass(frozen=True, slots=True)
class NoSecret:
    """Stands for a secret whose file can't be used, so that every other mistake is told beside it."""

    why: str


def _refuse_none(value: object) -> object:
    if isinstance(value, NoSecret):
        raise ValueError(value.why)
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    if value.get_secret_value().strip().upper() == _PLACEHOLDER:
        raise ValueError(f"is still the example's {_PLACEHOLDER}; put the real one there")
    return value


def check_lease(value: timedelta) -> timedelta:
    if value % timedelta(seconds=1) or not timedelta(seconds=2) <= value <= timedelta(minutes=5):
        raise ValueError("must be whole seconds, from 2s to 5m")
    return value


def check_channel(value: str) -> str:
    if value and not re.fullmatch(r"#?[^\s#]{1,79}", value):
        raise ValueError("must be a Slack channel such as #payments or C012AB3CD")
    return value


def check_identity(value: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,253}", value, re.ASCII):
        raise ValueError("must be 1 to 253 letters, digits, '.', '-' and '_'")
    return value


Duration = Annotated[timedelta, BeforeValidator(_parse_duration), AfterValidator(_check_positive)]
Days = Annotated[timedelta, BeforeValidator(_parse_days), AfterValidator(_check_whole_days)]
Wait = Annotated[timedelta, BeforeValidator(_parse_duration), AfterValidator(_check_not_negative)]
Url = Annotated[str, AfterValidator(_check_url)]
Secret = Annotated[SecretStr, BeforeValidator(_refuse_none), AfterValidator(_check_secret)]


def shape_of(field: FieldInfo) -> str:
    """What the value of a setting has to be; for one whose own check does not say so better."""
    kinds = get_args(field.annotation) or (field.annotation,)
    if get_origin(field.annotation) is Literal:
        return " or ".join(kinds)
    if bool in kinds:
        return "true or false"
    if int in kinds:
        bounds = (getattr(each, name, None) for name in ("ge", "le") for each in field.metadata)
        low, high = (bound for bound in bounds if bound is not None)
        return f"a whole number from {low} to {high}"
    if SecretStr in kinds:
        return "any text that is secret"
    checks = [each.func for each in field.metadata if isinstance(each, AfterValidator)]
    return f"an address such as {_EXAMPLE_URL}" if _check_url in checks else "some text"
