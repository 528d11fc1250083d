"""Queries from templates: placeholders, escapes, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from responder.rules.findings import TextError
from responder.rules.promql import check_query, find_placeholders, render, split_by, workload_labels
from responder.workloads.key import WorkloadKey

RANGE = timedelta(minutes=1, seconds=30)


@pytest.mark.parametrize(
    ("template", "query"),
    [
        ("rate(x{$selector}[$range])", 'rate(x{namespace="pay",deployment="api"}[1m30s])'),
        ('x{$selector,le="$threshold"}', 'x{namespace="pay",deployment="api",le="3"}'),
        ("histogram_quantile($quantile, x)", "histogram_quantile(0.95, x)"),
        ("x offset $range", "x offset 1m30s"),
        ("x", "x"),
    ],
)
def test_renders(template: str, query: str) -> None:
    selector = workload_labels(WorkloadKey("pay", "Deployment", "api"))
    assert render(template, selector, range=RANGE, threshold=3.0, quantile=0.95) == query


def test_label_values_are_escaped_and_not_read_again() -> None:
    query = render("x{$selector}", {"note": 'a"b\\c\n$range'}, range=RANGE)
    assert query == r'x{note="a\"b\\c\n$range"}'


@pytest.mark.parametrize(
    ("kind", "label"),
    [("Deployment", "deployment"), ("StatefulSet", "statefulset"), ("DaemonSet", "daemonset")],
)
def test_each_kind_has_its_label(kind: str, label: str) -> None:
    assert workload_labels(WorkloadKey("pay", kind, "api")) == {"namespace": "pay", label: "api"}


@pytest.mark.parametrize("template", ["x > $threshold", "quantile($quantile, x)", "$nothing"])
def test_a_value_that_is_not_given_is_an_error(template: str) -> None:
    with pytest.raises(ValueError, match="was not given"):
        render(template, {}, range=RANGE)


def test_a_range_has_to_be_longer_than_zero() -> None:
    with pytest.raises(ValueError, match="longer than zero"):
        render("x", {}, range=timedelta())


def test_finds_placeholders() -> None:
    assert find_placeholders("x{$selector}[$range] $selector") == {"selector", "range"}


@pytest.mark.parametrize(
    ("template", "offset", "hint"),
    [
        ("x{$selecter}", 2, "$selecter: did you mean selector?"),
        ("$__interval", 0, "$__interval: known are quantile, range, selector, threshold"),
        (
            "x{$selector}[${range}]",
            13,
            "$: known are quantile, range, selector, threshold",
        ),
    ],
)
def test_unknown_placeholders(template: str, offset: int, hint: str) -> None:
    with pytest.raises(TextError) as caught:
        find_placeholders(template)
    assert (caught.value.offset, caught.value.message) == (offset, f"unknown placeholder {hint}")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("rat(x[5m])", "invalid PromQL: unknown function with name 'rat'"),
        ("sum(rate(x[5m])", "invalid PromQL: unclosed left parenthesis"),
        ("rate(x)", "invalid PromQL: expected type matrix in call to function 'rate', got vector"),
        ('x{a=~"("}', "invalid PromQL: illegal regex for ("),
        ("x[5m]", "yields a range of samples instead of one value: wrap it, as in rate(...)"),
        ("x[5m:1m]", "yields a range of samples instead of one value: wrap it, as in rate(...)"),
        ('"text"', "yields a text instead of a number"),
    ],
)
def test_queries_that_prometheus_could_not_use(query: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        check_query(query)
    assert caught.value.message == message


@pytest.mark.parametrize("query", ["x", "sum(rate(x[5m])) or vector(0)", "(x)", "1 - avg(x)"])
def test_queries_that_it_can(query: str) -> None:
    check_query(query)


@pytest.mark.parametrize(
    ("query", "apart"),
    [
        ("sum(increase(x[5m]))", "sum by (pod) (increase(x{}[5m]))"),
        ("sum by (le) (rate(x[5m])) or vector(0)", "sum by (le, pod) (rate(x{}[5m])) or  vector(0)"),
        ("sum(rate(x[5m])) by (pod)", "sum by (pod) (rate(x{}[5m]))"),
        ("sum(a) - sum(b)", "sum by (pod) (a{}) - sum by (pod) (b{})"),
        # Text in a label's value is no aggregation, whatever it says.
        ('sum(a{on="sum(x"})', 'sum by (pod) (a{on="sum(x"})'),
        ("rate(x[5m])", None),
        ("sum_over_time(x[5m])", None),
        ("sum without (z) (x)", None),
        ("topk(3, sum(x))", None),
        ("sum(a) / on (le) sum(b)", None),
        ("sum(", None),
    ],
)
def test_what_a_sum_adds_up_is_kept_apart(query: str, apart: str | None) -> None:
    assert split_by(query, ("pod",)) == apart
