"""The fields of one YAML mapping: each typed, each mistake recorded at its place. Pure; for the loader.

A field that is wrong yields a stand-in, so that reading goes on to the next mistake; the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

import yaml

from responder.rules.document import Findings, scalar_text
from responder.rules.findings import TextError, closest, nearest
from responder.rules.quantities import format_duration, parse_duration

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Parser = Callable[[str], T]

_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")


class Fields:
    """A mapping's values by key. `what` names the mapping in messages, such as "alert slow"."""

    def __init__(
        self,
        node: yaml.Node,
        findings: Findings,
        what: str,
        known: Collection[str] | None,
        hint: Callable[[yaml.Node], str] | None = None,
    ) -> None:
        """Record unknown and duplicate keys at once; `known` None allows any key, as where keys are names.

        `hint` may tell from an unknown key's value where it belongs; empty where it can't.
        """
        self.node = node
        self.findings = findings
        self.what = what
        self.keys: dict[str, yaml.Node] = {}
        self.values: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            findings.add(node, f"{what} has to be a mapping of keys to values")
            return
        unknown = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                findings.add(key, f"a key of {what} has to be a plain word")
            elif known is not None and key.value not in known:
                unknown.append((key, value))
            else:
                self._add(key, value)
        for key, value in unknown:
            self._add_unknown(key, value, known or (), hint(value) if hint is not None else "")

    def _add(self, key: yaml.ScalarNode, value: yaml.Node) -> None:
        name: str = key.value
        if name in self.values:
            first = self.findings.locate(self.keys[name])
            self.findings.add(key, f"{name} is written twice in {self.what}; first in line {first.line}")
        else:
            self.keys[name] = key
            self.values[name] = value

    def _add_unknown(self, key: yaml.ScalarNode, value: yaml.Node, known: Collection[str], hint: str) -> None:
        self.findings.add(key, f"unknown key {key.value} in {self.what}: {hint or nearest(key.value, known)}")
        meant = None if hint else closest(key.value, known)
        # Its value is read as what was meant, so that its mistakes show too and nothing is called missing.
        if meant is not None and meant not in self.values:
            self.keys[meant] = key
            self.values[meant] = value

    def require(self, name: str, hint: str) -> yaml.Node | None:
        """The node of a field that has to be there; None after recording that it is missing."""
        node = self.values.get(name)
        if node is None and isinstance(self.node, yaml.MappingNode):
            self.findings.add(self.node, f"{self.what} lacks {name}: {hint}")
        return node

    def needed(self, name: str, parse: Parser[T], stand_in: T, hint: str) -> T:
        """The value of a field that has to be there."""
        return stand_in if self.require(name, hint) is None else self.optional(name, parse, stand_in)

    def optional(self, name: str, parse: Parser[T], default: T) -> T:
        """The value of a field, or the default where it is absent; mistakes are recorded."""
        node = self.values.get(name)
        if node is None:
            return default
        parsed = self.parse(node, parse, name)
        return default if parsed is None else parsed

    def parse(self, node: yaml.Node, parse: Parser[T], name: str) -> T | None:
        """What `parse` makes of a scalar; None after recording why it could not."""
        try:
            return parse(scalar_text(node))
        except TextError as error:
            self.findings.add(node, f"{name}: {error.message}", error.offset)
            return None

    def list_of(self, name: str, parse: Parser[T]) -> tuple[T, ...]:
        """The parsed items of a list, or of a single value written without brackets; none where absent."""
        node = self.values.get(name)
        if node is None:
            return ()
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        parsed = [self.parse(item, parse, name) for item in items]
        return tuple(item for item in parsed if item is not None)


def one_of(choices: type[E]) -> Parser[E]:
    """A parser of the words of an enumeration."""

    def parse(text: str) -> E:
        try:
            return choices(text)
        except ValueError:
            raise TextError(f"unknown value {text!r}: {nearest(text, list(choices))}") from None

    return parse


def duration_between(shortest: str, longest: str) -> Parser[timedelta]:
    """A parser of durations within these bounds, both included."""
    low, high = parse_duration(shortest), parse_duration(longest)

    def parse(text: str) -> timedelta:
        value = parse_duration(text)
        if not low <= value <= high:
            raise TextError(f"{text} is out of range: at least {shortest}, at most {format_duration(high)}")
        return value

    return parse


def whole_number(low: int, high: int) -> Parser[int]:
    """A parser of whole numbers within these bounds, both included, written in decimal digits."""

    def parse(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise TextError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return parse


def fraction(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    if not _DECIMAL.fullmatch(text) or not 0 < float(text) < 1:
        raise TextError(f"{text!r} is no number between 0 and 1, such as 0.95")
    return float(text)


def matching(pattern: str, explanation: str, longest: int) -> Parser[str]:
    """A parser of names: texts that match the whole pattern and are not too long."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text) or len(text) > longest:
            raise TextError(f"{text!r} is no {explanation}")
        return text

    return parse
