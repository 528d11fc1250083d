"""Reads Prometheus rule files into groups of rules with parsed expressions.

Source: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from responder.errors import ResponderError
from responder.sandbox.prometheus.formatting import parse_duration
from responder.sandbox.prometheus.promql import ParseError, Query, parse_query


class RuleFileError(ResponderError):
    """A rule file that Prometheus would refuse."""


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """Stores an expression's value as a series of its own."""

    name: str
    query: Query
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class AlertingRule:
    """Fires for each element of an expression that stays `hold` long."""

    name: str
    query: Query
    hold: timedelta
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules evaluated one after the other; `interval` None means the global one."""

    name: str
    file: str
    interval: timedelta | None
    rules: tuple[RecordingRule | AlertingRule, ...]


def _duration(value: Any) -> timedelta:
    # YAML reads `for: 0` as a number.
    return parse_duration(str(value))


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class _RuleModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    record: str | None = None
    alert: str | None = None
    expr: str | int | float
    hold: Duration = Field(default=timedelta(), alias="for")
    keep_firing_for: Duration = timedelta()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _GroupModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    interval: Duration | None = None
    limit: int = 0
    rules: list[_RuleModel] = []


class _FileModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    groups: list[_GroupModel] = []


def parse_rule_file(text: str, file: str) -> list[RuleGroup]:
    """Parse one rule file; `file` names it in errors and in the HTTP API. Raises RuleFileError."""
    try:
        model = _FileModel.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise RuleFileError(f"{file}: not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RuleFileError(f"{file}: {where}: {first['msg']}") from error
    return [_group(group, file) for group in model.groups]


def _group(model: _GroupModel, file: str) -> RuleGroup:
    rules = tuple(_rule(rule, f"{file}: group {model.name}") for rule in model.rules)
    return RuleGroup(model.name, file, model.interval, rules)


def _rule(model: _RuleModel, where: str) -> RecordingRule | AlertingRule:
    if (model.record is None) == (model.alert is None):
        raise RuleFileError(f"{where}: a rule has exactly one of 'record' and 'alert'")
    name = model.record or model.alert or ""
    try:
        query = parse_query(str(model.expr))
    except ParseError as error:
        raise RuleFileError(f"{where}: rule {name}: {error}") from error
    if model.record is not None:
        return RecordingRule(name, query, model.labels)
    return AlertingRule(name, query, model.hold, model.labels, model.annotations)
