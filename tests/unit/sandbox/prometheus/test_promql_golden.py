"""The built-in PromQL answers as the real promtool did, and refuses what it does not know."""

from __future__ import annotations

import math

import pytest

from responder.sandbox.prometheus.promql import (
    ExecutionError,
    ParseError,
    PromqlError,
    UnsupportedError,
    parse_query,
)
from responder.sandbox.prometheus.tsdb import Tsdb
from tests.shared_promql import fill, load_golden, parse_labels, parse_seconds

GOLDEN = load_golden()


@pytest.fixture(scope="module")
def tsdb() -> Tsdb:
    return fill(GOLDEN)


def agree(actual: float, expected: float) -> bool:
    return math.isclose(actual, expected, rel_tol=1e-12) or (math.isnan(actual) and math.isnan(expected))


@pytest.mark.parametrize("query", GOLDEN["answers"])
def test_answers_as_promtool(query: str, tsdb: Tsdb) -> None:
    parsed = parse_query(query)
    for time, answer in GOLDEN["answers"][query].items():
        expected = {parse_labels(labels): float(value) for labels, value in answer.items()}

        got = {one.labels: one.value for one in parsed.vector_at(tsdb, parse_seconds(time) * 1000)}

        assert got.keys() == expected.keys(), time
        assert all(agree(got[labels], expected[labels]) for labels in got), (time, got, expected)


def test_a_range_of_instants_is_the_instants(tsdb: Tsdb) -> None:
    query = parse_query("sum by (version) (rate(a_total[2m]))")

    over = query.over(tsdb, 240_000, 360_000, 40_000)

    at = [query.vector_at(tsdb, time_ms) for time_ms in (240_000, 280_000, 320_000, 360_000)]
    together = {
        (series.labels, *point) for series in over for point in zip(series.times, series.values, strict=True)
    }
    assert together == {
        (one.labels, 240_000 + 40_000 * index, one.value) for index, vector in enumerate(at) for one in vector
    }


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        ("sum(", ParseError, "parse error"),
        ("rate(a_total)", ParseError, "expected type matrix"),
        ("bogus(a_total)", ParseError, "unknown function"),
        ("a_total / on (job) a_total", ExecutionError, "many-to-many matching not allowed"),
        ("a_total * on (version) group_left limit", ExecutionError, "found duplicate series"),
        (
            'sum({__name__=~"a_total|e_total"}) + rate({__name__=~"a_total|e_total"}[5m])',
            ExecutionError,
            "same labelset",
        ),
        ('label_replace(g, "pod", "x", "", ".*")', ExecutionError, "same labelset"),
        ('label_replace(a_total, "1", "x", "pod", ".*")', ExecutionError, "invalid destination label"),
        ("a_total @ 60", UnsupportedError, "the @ modifier"),
        ("stddev(a_total)", UnsupportedError, "the aggregation 'stddev'"),
        ("predict_linear(g[5m], 60)", UnsupportedError, "predict_linear()"),
        ("max_over_time(g[5m:])", UnsupportedError, "a subquery without a step"),
        ("a_total atan2 a_total", UnsupportedError, "the operator 'atan2'"),
    ],
)
def test_says_what_it_can_not_answer(query: str, error: type[PromqlError], text: str, tsdb: Tsdb) -> None:
    with pytest.raises(error) as raised:
        parse_query(query).at(tsdb, 300_000)

    assert text in str(raised.value)


def test_a_range_vector_has_no_range_of_values(tsdb: Tsdb) -> None:
    with pytest.raises(ParseError, match="invalid expression type for range query"):
        parse_query("a_total[5m]").over(tsdb, 0, 1000, 1000)


def test_one_query_reads_a_bounded_number_of_samples() -> None:
    crowded = Tsdb()
    for second in range(20_000):
        crowded.append(parse_labels("a_total{}"), second * 1000, 1.0)
    query = parse_query("sum_over_time(a_total[6h])")

    with pytest.raises(ExecutionError, match="too many samples"):
        query.over(crowded, 20_000_000, 20_300_000, 1000)
