"""A PromQL evaluator for the subset that alert rules, recording rules and the responder's questions use.

Semantics are Prometheus 2.42's, including extrapolation, closed range ends, NaN and infinities. What is
outside the subset raises UnsupportedError rather than answer wrongly. Called by the rules and the HTTP API.
"""

from responder.sandbox.prometheus.promql.evaluator import Query, parse_query
from responder.sandbox.prometheus.promql.values import (
    ExecutionError,
    Matrix,
    ParseError,
    PromqlError,
    RangeSeries,
    Sample,
    UnsupportedError,
    Value,
    Vector,
)

__all__ = [
    "ExecutionError",
    "Matrix",
    "ParseError",
    "PromqlError",
    "Query",
    "RangeSeries",
    "Sample",
    "UnsupportedError",
    "Value",
    "Vector",
    "parse_query",
]
