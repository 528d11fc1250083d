"""The condition language: `error_rate > 1% OR latency_p95 > 5s`. Pure.

Parsed with units by the loader, judged in three values by whoever has measured the metrics.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

from responder.rules.findings import TextError, nearest
from responder.rules.quantities import Unit, parse_threshold

Operator = Literal[">", ">=", "<", "<="]

_COMPARE: Mapping[Operator, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
# What a person can still read; the parser recurses by parentheses.
LONGEST_CONDITION = 500
DEEPEST_CONDITION = 20

_TOKEN = re.compile(r"\s*(?P<token>[()]|[0-9.]+\s*%|[<>=!&|]+|[^\s()<>=!&|]+)")
_OPERATORS: Mapping[str, Operator] = {symbol: symbol for symbol in _COMPARE}
_METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Measurable(Protocol):
    """A metric, as far as a condition has to know it; without a unit where the file's own is wrong."""

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> Unit | None: ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """A metric against a threshold in the metric's unit; `text` is how people read it."""

    metric: str
    operator: Operator
    threshold: float
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def worse_is_higher(self) -> bool:
        """True for a condition on too much, False for one on too little: a success ratio below 99%."""
        return self.operator in (">", ">=")


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True as soon as one of the conditions is."""

    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return " OR ".join(str(condition) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class AllOf:
    """True only when every one of the conditions is."""

    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return " AND ".join(f"({each})" if isinstance(each, AnyOf) else str(each) for each in self.conditions)


Condition = Comparison | AnyOf | AllOf


def parse_condition(text: str, metrics: Mapping[str, Measurable]) -> Condition:
    """The condition that `text` states about the named metrics; AND binds tighter than OR.

    Raises TextError with the offset of the mistake in the text.
    """
    if len(text) > LONGEST_CONDITION:
        raise TextError(f"longer than {LONGEST_CONDITION} characters: split the condition into two alerts")
    parser = _Parser(text, metrics)
    condition = parser.parse_any()
    parser.expect_end()
    return condition


def holds(condition: Condition, values: Mapping[str, float | None]) -> bool | None:
    """Whether the condition is true of the values; None where that can't be told.

    Kleene's logic: a missing value, None and NaN are unknown, which matters only where it could decide.
    """

    def compare(leaf: Comparison) -> bool | None:
        value = values.get(leaf.metric)
        if value is None or math.isnan(value):
            return None
        return _COMPARE[leaf.operator](value, leaf.threshold)

    return combine(condition, compare)


def combine(condition: Condition, told: Callable[[Comparison], bool | None]) -> bool | None:
    """The condition, given what is told of each comparison: true, false, or None for unknown."""
    match condition:
        case Comparison():
            return told(condition)
        case AnyOf():
            parts = [combine(part, told) for part in condition.conditions]
            return True if True in parts else None if None in parts else False
        case AllOf():
            parts = [combine(part, told) for part in condition.conditions]
            return False if False in parts else None if None in parts else True
        case _:
            assert_never(condition)


def comparisons(condition: Condition) -> tuple[Comparison, ...]:
    """Every comparison in the condition, in the order of the text."""
    if isinstance(condition, Comparison):
        return (condition,)
    return tuple(leaf for part in condition.conditions for leaf in comparisons(part))


class _Parser:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str, metrics: Mapping[str, Measurable]) -> None:
        self._tokens = [(match["token"], match.start("token")) for match in _TOKEN.finditer(text)]
        self._end = len(text.rstrip())
        self._next = 0
        self._open = 0
        self._metrics = metrics

    def parse_any(self) -> Condition:
        parts = [self._parse_all()]
        while self._take("OR"):
            parts.append(self._parse_all())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _parse_all(self) -> Condition:
        parts = [self._parse_part()]
        while self._take("AND"):
            parts.append(self._parse_part())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _parse_part(self) -> Condition:
        opened_at = self._peek()[1]
        if not self._take("("):
            return self._parse_comparison()
        self._open += 1
        if self._open > DEEPEST_CONDITION:
            raise TextError(f"more than {DEEPEST_CONDITION} parentheses in each other", opened_at)
        inner = self.parse_any()
        if not self._take(")"):
            raise TextError("the parenthesis is never closed", opened_at)
        self._open -= 1
        return inner

    def _parse_comparison(self) -> Comparison:
        metric = self._parse_metric()
        symbol, symbol_at = self._pop("expected >, >=, < or <= and a threshold after the metric")
        comparator = _OPERATORS.get(symbol)
        if comparator is None:
            raise TextError(f"expected >, >=, < or <= after {metric.name}, found {symbol!r}", symbol_at)
        text, text_at = self._pop(f"expected a threshold after {symbol}")
        try:
            threshold = parse_threshold(text, metric.unit)
        except TextError as error:
            raise TextError(f"{metric.name}: {error.message}", text_at) from None
        return Comparison(metric.name, comparator, threshold, f"{metric.name} {symbol} {text}")

    def _parse_metric(self) -> Measurable:
        name, name_at = self._pop("expected a condition such as error_rate > 1%")
        if name in self._metrics:
            return self._metrics[name]
        if name.upper() in ("AND", "OR", "NOT") or not _METRIC_NAME.fullmatch(name):
            example = next(iter(self._metrics), "error_rate")
            raise TextError(f"expected a metric's name such as {example}, found {name!r}", name_at)
        hint = nearest(name, self._metrics) or "the file defines no metric"
        raise TextError(f"unknown metric {name}: {hint}", name_at)

    def expect_end(self) -> None:
        token, at = self._peek()
        if token:
            raise TextError(f"expected AND, OR or the end, found {token!r}", at)

    def _peek(self) -> tuple[str, int]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("", self._end)

    def _pop(self, expected: str) -> tuple[str, int]:
        token, at = self._peek()
        if not token:
            raise TextError(expected, at)
        self._next += 1
        return token, at

    def _take(self, word: str) -> bool:
        taken = self._peek()[0].upper() == word
        self._next += taken
        return taken
