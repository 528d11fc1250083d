"""Label and field selectors, as they stand in a query string or in an object's spec.

Pure. Messages of parse errors are the real server's. Used by lists, watches and controllers.
Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/{labels,fields}/selector.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from responder.sandbox.api.names import label_value_faults, qualified_name_faults
from responder.sandbox.api.objects import Object
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import ApiError, bad_request

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
_METADATA_FIELDS = ("metadata.name", "metadata.namespace")
# These resources come with selector code of their own and say so in other words.
_OWN_FIELD_WORDS = frozenset({"pods", "events", "namespaces", "nodes", "secrets", "services"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels satisfy the term."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "in" | "=" | "==":
                return value in self.values
            case "notin" | "!=":
                return value not in self.values
            case _:
                return _compares(value, self.operator, int(self.values[0]))


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All of its requirements have to hold; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, obj: Object) -> bool:
        """Tell whether the object's labels satisfy it."""
        labels = obj.get("metadata", {}).get("labels") or {}
        return all(requirement.matches(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Terms of (path, is it equality, value)."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    def matches(self, obj: Object) -> bool:
        """Tell whether the object's fields satisfy it; an absent field is an empty string."""
        return all((field_text(obj, path) == value) == equal for path, equal, value in self.terms)


def parse_label_selector(text: str) -> LabelSelector:
    """Read the labelSelector parameter; ApiError 400 says where it stops making sense."""
    parser = _LabelParser(text)
    return LabelSelector(tuple(parser.requirements()))


def label_selector_of(selector: Mapping[str, Any] | None) -> LabelSelector:
    """Read a metav1.LabelSelector out of a spec; None matches nothing."""
    if selector is None:
        return LabelSelector((Requirement("", "in"),))
    terms = [Requirement(k, "=", (str(v),)) for k, v in (selector.get("matchLabels") or {}).items()]
    names = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for expression in selector.get("matchExpressions") or []:
        values = tuple(expression.get("values") or ())
        terms.append(Requirement(expression["key"], names[expression["operator"]], values))
    return LabelSelector(tuple(terms))


def parse_field_selector(text: str, resource: Resource) -> FieldSelector:
    """Read the fieldSelector parameter; ApiError 400 for a field that the resource does not know."""
    terms = []
    for part in filter(None, re.split(r"(?<!\\),", text)):
        found = re.match(r"([^=!]*)(==|!=|=)(.*)$", part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = found.groups()
        if path not in _METADATA_FIELDS and path not in resource.field_labels:
            raise _unknown_field(path, resource)
        value = re.sub(r"\\([\\,=])", r"\1", value)
        terms.append((path, operator != "!=", value))
    return FieldSelector(tuple(terms))


def field_text(obj: Object, path: str) -> str:
    """Return the field at a dotted path as selectors compare it."""
    if path == "source":
        source = obj.get("source") or {}
        return str(source.get("component") or obj.get("reportingComponent") or "")
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return json.dumps(value)
    return "" if value is None else str(value)


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Write a metav1.LabelSelector as a query string does (the /scale subresource shows it so)."""
    terms = [f"{key}={value}" for key, value in (selector or {}).get("matchLabels", {}).items()]
    for expression in (selector or {}).get("matchExpressions") or []:
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        match expression["operator"]:
            case "Exists":
                terms.append(key)
            case "DoesNotExist":
                terms.append(f"!{key}")
            case operator:
                terms.append(f"{key} {operator.lower()} ({values})")
    return ",".join(sorted(terms))


def _checked(key: str, operator: str, values: tuple[str, ...]) -> Requirement:
    """Return the term; ApiError 400 where one of the values is none that a label can have."""
    for index, value in enumerate(sorted(set(values))):
        faults = "; ".join(label_value_faults(value))
        if faults:
            where = f"values[{index}][{key}]: Invalid value: {json.dumps(value)}"
            raise bad_request(f"unable to parse requirement: {where}: {faults}")
    return Requirement(key, operator, values)


def _unknown_field(path: str, resource: Resource) -> ApiError:
    if resource.custom or resource.key in _OWN_FIELD_WORDS or resource.stored_as:
        return bad_request(f"field label not supported: {path}")
    known = ", ".join(f'"{name}"' for name in _METADATA_FIELDS)
    return bad_request(f'"{path}" is not a known field selector: only {known}')


def _compares(value: str | None, operator: str, limit: int) -> bool:
    if value is None or not re.fullmatch(r"[+-]?\d+", value):
        return False
    return int(value) > limit if operator == ">" else int(value) < limit


class _LabelParser:
    """A recursive-descent parser over the tokens of one selector."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def requirements(self) -> Iterable[Requirement]:
        while self._peek():
            yield self._requirement()
            token = self._peek()
            if not token:
                return
            if token != ",":
                raise bad_request(f"found '{token}', expected: ',' or 'end of string'")
            self._take()
            if not self._peek() or self._peek() in ("=", ",", ")"):
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._take()
        key = self._take()
        if key in ("=", "==", "!=", "(", ")", ",", "<", ">"):
            raise bad_request(f"found '{key}', expected: !, identifier, or 'end of string'")
        for fault in qualified_name_faults(key):
            text = f"<nil>: Invalid value: {json.dumps(key)}: {fault}"
            raise bad_request(f"unable to parse requirement: {text}")
        if absent:
            return Requirement(key, "!")
        operator = self._peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        return self._comparison(key, self._take())

    def _comparison(self, key: str, operator: str) -> Requirement:
        if operator in ("in", "notin"):
            return _checked(key, operator, self._value_list())
        if operator in ("=", "==", "!="):
            value = "" if self._peek() in ("", ",") else self._take()
            return _checked(key, operator, (value,))
        if operator in ("<", ">"):
            value = self._take()
            if not re.fullmatch(r"[+-]?\d+", value):
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise bad_request(
                    f"unable to parse requirement: values[0]: Invalid value: {json.dumps(value)}: {why}"
                )
            return Requirement(key, operator, (value,))
        expected = ", ".join(_OPERATORS)
        raise bad_request(f"unable to parse requirement: found '{operator}', expected: {expected}")

    def _value_list(self) -> tuple[str, ...]:
        if self._peek() != "(":
            raise bad_request(f"unable to parse requirement: found '{self._peek()}' expected: '('")
        self._take()
        values: list[str] = []
        is_open = True
        while (token := self._take()) != ")":
            if not token:
                raise bad_request("unable to parse requirement: found '', expected: ',' or ')'")
            if token != "," and not is_open:
                raise bad_request(f"unable to parse requirement: found '{token}', expected: ',' or ')'")
            if token != ",":
                values.append(token)
            elif is_open:
                values.append("")
            is_open = token == ","
        # Where a value could stand and none does, the empty one is meant: (), (a,).
        return (*values, "") if is_open else tuple(values)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token
