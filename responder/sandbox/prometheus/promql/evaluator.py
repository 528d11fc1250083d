"""Walks a parsed PromQL expression and computes its value at one instant or over a range of instants.

Reads the series database and nothing else. Source: Prometheus 2.42 promql/engine.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import promql_parser as ast

from responder.sandbox.prometheus.labels import (
    METRIC_NAME,
    Labels,
    Matcher,
    MatchOp,
    drop_name,
    labels_of,
)
from responder.sandbox.prometheus.promql import vectors
from responder.sandbox.prometheus.promql.operators import (
    Grouping,
    Matching,
    aggregate,
    scalar_scalar,
    set_operation,
    vector_scalar,
    vector_vector,
)
from responder.sandbox.prometheus.promql.ranges import RANGE_FUNCTIONS, apply_range_function
from responder.sandbox.prometheus.promql.values import (
    ExecutionError,
    Matrix,
    ParseError,
    RangeSeries,
    Sample,
    UnsupportedError,
    Value,
    Vector,
    unique,
)
from responder.sandbox.prometheus.tsdb import Series, Tsdb

MAX_SAMPLES = 5_000_000
"""Samples one query may read; the real default is 50 million, on machines that have the memory."""

MATCH_OPS = {
    "MatchOp.Equal": MatchOp.EQUAL,
    "MatchOp.NotEqual": MatchOp.NOT_EQUAL,
    "MatchOp.Re": MatchOp.REGEX,
    "MatchOp.NotRe": MatchOp.NOT_REGEX,
}  # by name: the parser's enums can't be hashed

MANY_SIDES = {"VectorMatchCardinality.ManyToOne": "left", "VectorMatchCardinality.OneToMany": "right"}


class Query:
    """A parsed expression, evaluated as often as wanted."""

    def __init__(self, text: str, root: Any) -> None:
        self.text = text
        self._root = root

    def at(self, tsdb: Tsdb, time_ms: int) -> Value:
        """The value at one instant. Raises ExecutionError."""
        return _Evaluation(_Reading(tsdb), time_ms).value(self._root)

    def vector_at(self, tsdb: Tsdb, time_ms: int) -> Vector:
        """The value at one instant as a rule needs it: a scalar becomes an element without labels."""
        value = self.at(tsdb, time_ms)
        if isinstance(value, float):
            return [Sample((), value)]
        if isinstance(value, list):
            return value
        raise ExecutionError("rule result is not a vector or scalar")

    def over(self, tsdb: Tsdb, start_ms: int, end_ms: int, step_ms: int) -> list[RangeSeries]:
        """One series a label set, valued at each step from start to end inclusive. Raises PromqlError."""
        reading = _Reading(tsdb)
        found: dict[Labels, RangeSeries] = {}
        for time_ms in range(start_ms, end_ms + 1, step_ms):
            value = _Evaluation(reading, time_ms).value(self._root)
            if isinstance(value, str | Matrix):
                raise ParseError("invalid expression type for range query, must be Scalar or instant Vector")
            for sample in [Sample((), value)] if isinstance(value, float) else value:
                series = found.setdefault(sample.labels, RangeSeries(sample.labels, [], []))
                series.times.append(time_ms)
                series.values.append(sample.value)
        return list(found.values())


def parse_query(text: str) -> Query:
    """Parse PromQL. Raises ParseError."""
    try:
        return Query(text, ast.parse(text))
    except ValueError as error:
        raise ParseError(f"parse error: {error}") from error


class _Reading:
    """What one query reads: each selection once, however many steps it has, and so many samples at most."""

    def __init__(self, tsdb: Tsdb) -> None:
        self._tsdb = tsdb
        self._left = MAX_SAMPLES
        self._selected: dict[tuple[str, tuple[Matcher, ...]], list[Series]] = {}

    def select(self, selector: Any) -> list[Series]:
        wanted = (selector.name or "", tuple(_matchers(selector)))
        if wanted not in self._selected:
            self._selected[wanted] = list(self._tsdb.select(*wanted))
        return self._selected[wanted]

    def spend(self, samples: int) -> None:
        self._left -= samples
        if self._left < 0:
            raise ExecutionError(
                "query processing would load too many samples into memory in query execution"
            )


class _Evaluation:
    """One expression at one instant."""

    def __init__(self, reading: _Reading, time_ms: int) -> None:
        self._reading = reading
        self._time_ms = time_ms

    def value(self, node: Any) -> Value:
        evaluate = _NODES.get(type(node))
        if evaluate is None:
            raise UnsupportedError(f"expressions of type {type(node).__name__}")
        return evaluate(self, node)

    def vector(self, node: Any) -> Vector:
        value = self.value(node)
        assert isinstance(value, list), "the parser checks types"
        return value

    def number(self, node: Any) -> float:
        value = self.value(node)
        assert isinstance(value, float), "the parser checks types"
        return value

    def text(self, node: Any) -> str:
        value = self.value(node)
        assert isinstance(value, str), "the parser checks types"
        return value

    def matrix(self, node: Any) -> Matrix:
        value = self.value(node)
        assert isinstance(value, Matrix), "the parser checks types"
        return value

    # Selectors

    def _shifted(self, node: Any) -> int:
        if node.at is not None:
            raise UnsupportedError("the @ modifier")
        return self._time_ms - (_milliseconds(node.offset) if node.offset is not None else 0)

    def newest(self, selector: Any) -> list[tuple[Labels, int, float]]:
        """Labels, time and value of the samples an instant selector finds."""
        time_ms = self._shifted(selector)
        found = [(series.labels, series.at(time_ms)) for series in self._reading.select(selector)]
        self._reading.spend(len(found))
        return [(labels, *sample) for labels, sample in found if sample is not None]

    def _instant(self, node: Any) -> Vector:
        return [Sample(labels, value) for labels, _, value in self.newest(node)]

    def _range(self, node: Any) -> Matrix:
        selector = node.vector_selector
        end_ms = self._shifted(selector)
        start_ms = end_ms - _milliseconds(node.range)
        series = []
        for one in self._reading.select(selector):
            times, values = one.between(start_ms, end_ms)
            self._reading.spend(len(times))
            if times:
                series.append(RangeSeries(one.labels, times, values))
        return Matrix(series, start_ms, end_ms)

    def _subquery(self, node: Any) -> Matrix:
        end_ms = self._shifted(node)
        start_ms = end_ms - _milliseconds(node.range)
        if node.step is None:
            raise UnsupportedError("a subquery without a step")
        step_ms = _milliseconds(node.step)
        # Steps stand at multiples of the step, whatever the query's own time, so that answers don't wobble.
        first_ms = math.ceil(start_ms / step_ms) * step_ms
        found: dict[Labels, RangeSeries] = {}
        for time_ms in range(first_ms, end_ms + 1, step_ms):
            value = _Evaluation(self._reading, time_ms).value(node.expr)
            assert isinstance(value, list), "the parser allows subqueries on vectors only"
            self._reading.spend(len(value))
            for sample in value:
                series = found.setdefault(sample.labels, RangeSeries(sample.labels, [], []))
                series.times.append(time_ms)
                series.values.append(sample.value)
        return Matrix(list(found.values()), start_ms, end_ms)

    # Operators

    def _unary(self, node: Any) -> Value:
        value = self.value(node.expr)
        if isinstance(value, float):
            return -value
        assert isinstance(value, list), "the parser checks types"
        return vectors.map_values(value, lambda number: -number)

    def _binary(self, node: Any) -> Value:
        op = str(node.op)
        left, right = self.value(node.lhs), self.value(node.rhs)
        as_bool = node.modifier is not None and node.modifier.return_bool
        if isinstance(left, float) and isinstance(right, float):
            return scalar_scalar(op, left, right)
        if isinstance(left, list) and isinstance(right, float):
            return vector_scalar(op, left, right, swapped=False, as_bool=as_bool)
        if isinstance(left, float) and isinstance(right, list):
            return vector_scalar(op, right, left, swapped=True, as_bool=as_bool)
        assert isinstance(left, list), "the parser checks types"
        assert isinstance(right, list), "the parser checks types"
        matching = _matching(node.modifier)
        if op in ("and", "or", "unless"):
            return set_operation(op, left, right, matching)
        return vector_vector(op, left, right, matching, as_bool=as_bool)

    def _aggregate(self, node: Any) -> Vector:
        parameter = None if node.param is None else self.value(node.param)
        if isinstance(parameter, str | list | Matrix):
            raise UnsupportedError(f"the aggregation {str(node.op)!r}")
        return aggregate(str(node.op), self.vector(node.expr), _grouping(node.modifier), parameter)

    def _call(self, node: Any) -> Value:
        name = node.func.name
        if name in RANGE_FUNCTIONS:
            return apply_range_function(name, self.matrix(node.args[0]))
        if name not in _FUNCTIONS:
            raise UnsupportedError(f"the function {name}()")
        return _FUNCTIONS[name](self, node.args)

    def timestamp(self, node: Any) -> Vector:
        """The time of each sample: of the stored one for a selector, else of the evaluation."""
        if isinstance(node, ast.VectorSelector):
            return unique(
                Sample(drop_name(labels), time_ms / 1000) for labels, time_ms, _ in self.newest(node)
            )
        return vectors.map_values(self.vector(node), lambda _: self._time_ms / 1000)

    def now(self) -> float:
        return self._time_ms / 1000

    def absent(self, node: Any, present: bool) -> Vector:
        """An element with the labels the selector demands, when nothing is present."""
        return [] if present else [Sample(_demanded(node), 1.0)]


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _matchers(selector: Any) -> list[Matcher]:
    if selector.matchers.or_matchers:
        raise UnsupportedError("'or' between matchers")
    return [Matcher(m.name, MATCH_OPS[str(m.op)], m.value) for m in selector.matchers.matchers]


def _demanded(node: Any) -> Labels:
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    if isinstance(node, ast.MatrixSelector):
        node = node.vector_selector
    if not isinstance(node, ast.VectorSelector):
        return ()
    conditions = [m for m in _matchers(node) if m.name != METRIC_NAME]
    names = [m.name for m in conditions]
    equal = {m.name: m.value for m in conditions if m.op is MatchOp.EQUAL and names.count(m.name) == 1}
    return labels_of(equal)


def _grouping(modifier: Any) -> Grouping:
    if modifier is None:
        return Grouping()
    return Grouping(modifier.type == ast.AggModifierType.Without, tuple(modifier.labels))


def _matching(modifier: Any) -> Matching:
    if modifier is None:
        return Matching()
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise UnsupportedError("the fill modifier")
    labels = modifier.matching
    return Matching(
        on=labels is not None and labels.type == ast.LabelModifierType.Include,
        names=tuple(labels.labels) if labels is not None else (),
        many=MANY_SIDES.get(str(modifier.card), ""),
        include=tuple(modifier.group_labels or ()),
    )


_NODES: dict[type, Callable[[_Evaluation, Any], Value]] = {
    ast.NumberLiteral: lambda _, node: float(node.val),
    ast.StringLiteral: lambda _, node: str(node.val),
    ast.ParenExpr: lambda at, node: at.value(node.expr),
    ast.VectorSelector: _Evaluation._instant,
    ast.MatrixSelector: _Evaluation._range,
    ast.SubqueryExpr: _Evaluation._subquery,
    ast.UnaryExpr: _Evaluation._unary,
    ast.BinaryExpr: _Evaluation._binary,
    ast.AggregateExpr: _Evaluation._aggregate,
    ast.Call: _Evaluation._call,
}

_FUNCTIONS: dict[str, Callable[[_Evaluation, list[Any]], Value]] = {
    "time": lambda at, _: at.now(),
    "timestamp": lambda at, args: at.timestamp(args[0]),
    "vector": lambda at, args: [Sample((), at.number(args[0]))],
    "scalar": lambda at, args: vectors.scalar_of(at.vector(args[0])),
    "abs": lambda at, args: vectors.map_values(at.vector(args[0]), abs),
    "ceil": lambda at, args: vectors.map_values(at.vector(args[0]), vectors.rounding(math.ceil)),
    "floor": lambda at, args: vectors.map_values(at.vector(args[0]), vectors.rounding(math.floor)),
    "absent": lambda at, args: at.absent(args[0], bool(at.vector(args[0]))),
    "absent_over_time": lambda at, args: at.absent(args[0], bool(at.matrix(args[0]).series)),
    "clamp": lambda at, args: vectors.clamp(at.vector(args[0]), at.number(args[1]), at.number(args[2])),
    "clamp_min": lambda at, args: vectors.clamp(at.vector(args[0]), at.number(args[1]), math.inf),
    "clamp_max": lambda at, args: vectors.clamp(at.vector(args[0]), -math.inf, at.number(args[1])),
    "histogram_quantile": lambda at, args: vectors.histogram_quantile(at.number(args[0]), at.vector(args[1])),
    "label_replace": lambda at, args: vectors.label_replace(
        at.vector(args[0]), *(at.text(argument) for argument in args[1:5])
    ),
}
