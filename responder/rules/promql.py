"""PromQL from the templates of a rule file: placeholders put in, and the result checked. Pure.

Called by the loader (check), by rendering, and by whoever queries Prometheus for a rule's metric.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import promql_parser

from responder.rules.findings import TextError, nearest
from responder.rules.quantities import format_duration, format_number
from responder.workloads.key import KIND_BY_LABEL, WorkloadKey

PLACEHOLDERS = ("selector", "range", "threshold", "quantile")

# Queries, of some hundred bytes each.
_MOST_REMEMBERED = 4096

_PLACEHOLDER = re.compile(r"\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)?")
_LABEL_BY_KIND = {kind: label for label, kind in KIND_BY_LABEL.items()}


def workload_labels(workload: WorkloadKey) -> dict[str, str]:
    """The labels by which alerts and metrics name this workload, for instance namespace and deployment."""
    return {"namespace": workload.namespace, _LABEL_BY_KIND[workload.kind]: workload.name}


def render(
    template: str,
    selector: Mapping[str, str],
    *,
    range: timedelta,
    threshold: float | None = None,
    quantile: float | None = None,
) -> str:
    """The query with $selector, $range, $threshold and $quantile put in.

    Raises ValueError when the template needs a value that was not given, or `range` is not positive.
    """
    return _render(template, tuple(selector.items()), range, threshold, quantile)


# The same few are asked again and again; what nobody asked for long is forgotten.
@lru_cache(_MOST_REMEMBERED)
def _render(
    template: str,
    selector: tuple[tuple[str, str], ...],
    range: timedelta,
    threshold: float | None,
    quantile: float | None,
) -> str:
    if range <= timedelta():
        raise ValueError(f"a range must be longer than zero, not {range}")
    values = {
        "selector": render_selector(dict(selector)),
        "range": format_duration(range),
        "threshold": None if threshold is None else format_number(threshold),
        "quantile": None if quantile is None else format_number(quantile),
    }

    def value(match: re.Match[str]) -> str:
        text = values.get(match["name"])
        if text is None:
            raise ValueError(f"the query needs {match[0]}, which was not given: {template}")
        return text

    return _PLACEHOLDER.sub(value, template)


def render_selector(labels: Mapping[str, str]) -> str:
    """Label matchers for equality, as they stand between the braces of a selector."""
    return ",".join(f"{name}={quote(value)}" for name, value in labels.items())


def quote(value: str) -> str:
    """A PromQL string literal; the same escapes hold for Alertmanager's matchers."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def find_placeholders(template: str) -> frozenset[str]:
    """The names of the placeholders in a template. Raises TextError for one that doesn't exist."""
    found = set()
    for match in _PLACEHOLDER.finditer(template):
        name = match["name"] or ""
        if name not in PLACEHOLDERS:
            hint = nearest(name, PLACEHOLDERS)
            raise TextError(f"unknown placeholder {match[0]}: {hint}", match.start())
        found.add(name)
    return frozenset(found)


def find_narrowing(query: str, samples: str) -> str | None:
    """A matcher, as PromQL writes it, by which the query takes only some of the series that `samples` counts.

    None where there is none, or where `or` stands beside it and yields a value in its absence. Both are
    valid queries. Matchers of le choose among buckets that always exist.
    """
    counted = {str(each) for each in _matchers(promql_parser.parse(samples), guarded=True)}
    narrower = (each for each in _matchers(promql_parser.parse(query), guarded=False) if each.name != "le")
    return next((text for text in map(str, narrower) if text not in counted), None)


def metric_names(query: str) -> frozenset[str]:
    """The metrics that a rendered query names; one chosen by a matcher of __name__ is left out."""
    return frozenset(
        each.name for each in _selectors(promql_parser.parse(query), guarded=True) if each.name is not None
    )


def _matchers(node: Any, *, guarded: bool) -> Iterator[Any]:
    """The matchers of every selector in a parsed query, those beside an `or` only when `guarded`."""
    for selector in _selectors(node, guarded=guarded):
        yield from selector.matchers.matchers


def _selectors(node: Any, *, guarded: bool) -> Iterator[Any]:
    """Every selector in a parsed query, those beside an `or` only when `guarded`."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _selectors(argument, guarded=guarded)
    elif isinstance(node, promql_parser.BinaryExpr):
        if guarded or str(node.op) != "or":
            yield from _selectors(node.lhs, guarded=guarded)
            yield from _selectors(node.rhs, guarded=guarded)
    elif hasattr(node, "expr"):  # parentheses, a sign, an aggregation, a subquery
        yield from _selectors(node.expr, guarded=guarded)


def check_query(query: str) -> None:
    """Raise TextError unless `query` is an expression that yields values, rather than ranges or text."""
    try:
        expression = promql_parser.parse(query)
    except ValueError as error:
        raise TextError(f"invalid PromQL: {error}") from None
    while isinstance(expression, promql_parser.ParenExpr):
        expression = expression.expr
    if isinstance(expression, (promql_parser.MatrixSelector, promql_parser.SubqueryExpr)):
        raise TextError("yields a range of samples instead of one value: wrap it, as in rate(...)")
    if isinstance(expression, promql_parser.StringLiteral):
        raise TextError("yields a text instead of a number")


# Label values may hold anything: they are skipped as a whole.
_TEXT = r'"(?:[^"\\]|\\.)*"'
_AGGREGATION = re.compile(
    _TEXT + r"|\b(?P<name>sum|count|avg|min|max)(?:\s+by\s*\((?P<labels>[^)]*)\))?\s*\("
)


@lru_cache(_MOST_REMEMBERED)
def split_by(query: str, labels: tuple[str, ...]) -> str | None:
    """The query with every sum, count, avg, min and max kept apart by these labels as well.

    None where that would not be the same question: it aggregates otherwise, or not at all.
    """

    def widened(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        kept = [each.strip() for each in (match["labels"] or "").split(",") if each.strip()]
        return f"{match['name']} by ({', '.join(dict.fromkeys((*kept, *labels)))}) ("

    try:
        # As the parser writes it, the labels come before what is aggregated.
        split = _AGGREGATION.sub(widened, str(promql_parser.parse(query)))
        promql_parser.parse(split)
    except ValueError:
        return None
    words = re.sub(_TEXT, "", split)
    aggregated = re.search(r"\bby \(", words) is not None
    return None if not aggregated or re.search(r"\b(without|topk|bottomk|on|ignoring) ?\(", words) else split
