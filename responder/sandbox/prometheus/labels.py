"""Label sets and matchers, shared by the built-in Prometheus and Alertmanager. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

METRIC_NAME = "__name__"

Labels = tuple[tuple[str, str], ...]
"""Sorted by name, without empty values: an empty label is an absent one."""

EMPTY: Labels = ()


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """The canonical label set of a mapping."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value != ""))


def label_value(labels: Labels, name: str) -> str:
    """The label's value, "" when the set has no such label."""
    for key, value in labels:
        if key == name:
            return value
    return ""


def keep(labels: Labels, names: Collection[str]) -> Labels:
    """Only the named labels."""
    return tuple(pair for pair in labels if pair[0] in names)


def drop(labels: Labels, names: Collection[str]) -> Labels:
    """All but the named labels."""
    return tuple(pair for pair in labels if pair[0] not in names)


def drop_name(labels: Labels) -> Labels:
    """The label set without the metric's name."""
    return tuple(pair for pair in labels if pair[0] != METRIC_NAME)


def show(labels: Labels) -> str:
    """As Prometheus writes a metric: name{label="value", ...}."""
    inner = ", ".join(f'{name}="{value}"' for name, value in labels if name != METRIC_NAME)
    return label_value(labels, METRIC_NAME) + "{" + inner + "}"


class MatchOp(Enum):
    """How a matcher compares; regular expressions are anchored at both ends."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. An absent label compares as the empty string."""

    name: str
    op: MatchOp
    value: str

    def matches(self, labels: Labels) -> bool:
        """Whether the label set satisfies this condition."""
        actual = label_value(labels, self.name)
        if self.op is MatchOp.EQUAL:
            return actual == self.value
        if self.op is MatchOp.NOT_EQUAL:
            return actual != self.value
        found = re.fullmatch(self.value, actual) is not None
        return found if self.op is MatchOp.REGEX else not found

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op.value}"{escaped}"'


_MATCHER = re.compile(r'\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^",{}]*?)\s*')


def parse_matcher(text: str) -> Matcher:
    """Parse `name="value"` as Alertmanager writes it; the quotes may be left out. Raises ValueError."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"bad matcher format: {text}")
    name, op, value = found.groups()
    if value.startswith('"'):
        value = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), value[1:-1])
    matcher = Matcher(name, MatchOp(op), value)
    if matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"bad matcher format: {text}: {error}") from error
    return matcher


def match_all(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Whether the label set satisfies every matcher."""
    return all(matcher.matches(labels) for matcher in matchers)
