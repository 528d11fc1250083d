"""No data, not a number, a rejected query and a lost answer: four things, never mixed up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from responder.clients.prometheus import Prometheus, PrometheusUnavailable, QueryRejected, Sample, Series
from tests.shared import run_story

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serving = Callable[[Handler], AbstractAsyncContextManager[str]]

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = AT.timestamp()


def success(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, "warnings": ["partial"]}


def ask(
    serving: Serving, answer: web.Response | str, question: Callable[[Prometheus], Awaitable[Any]]
) -> tuple[Any, list[tuple[str, dict[str, str]]]]:
    """What the question yields, and what was requested."""
    requests: list[tuple[str, dict[str, str]]] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        requests.append((request.path, dict(request.query)))
        if answer == "silence":
            await asyncio.Event().wait()
        if answer == "flood":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 1_000_000)
        assert isinstance(answer, web.Response)
        return answer

    async def main() -> Any:
        async with serving(respond) as url, aiohttp.ClientSession() as session:
            return await question(Prometheus(f"{url}/prefix/", session))

    return run_story(main()), requests


def test_a_vector_becomes_samples(serving: Serving) -> None:
    answer = success(
        "vector",
        [
            {"metric": {"version": "1"}, "value": [SECONDS, "0.04"]},
            {"metric": {"version": "2"}, "value": [SECONDS, "+Inf"]},
        ],
    )
    samples, requests = ask(serving, web.json_response(answer), lambda api: api.query("up", at=AT))
    assert samples == [Sample({"version": "1"}, 0.04, AT), Sample({"version": "2"}, math.inf, AT)]
    assert requests == [
        ("/prefix/api/v1/query", {"query": "up", "timeout": "10s", "time": "1767225600.000"}),
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (success("vector", []), None),
        (success("vector", [{"metric": {}, "value": [SECONDS, "0"]}]), 0.0),
        (success("scalar", [SECONDS, "2.5"]), 2.5),
    ],
)
def test_one_value_or_no_data(serving: Serving, answer: Any, expected: float | None) -> None:
    value, requests = ask(serving, web.json_response(answer), lambda api: api.query_scalar("q"))
    assert value == expected
    assert "time" not in requests[0][1], "the server's own now"


def test_not_a_number_stays_one(serving: Serving) -> None:
    answer = success("vector", [{"metric": {}, "value": [SECONDS, "NaN"]}])
    value, _ = ask(serving, web.json_response(answer), lambda api: api.query_scalar("q"))
    assert math.isnan(value)


def test_a_range_becomes_series_with_their_holes(serving: Serving) -> None:
    values = [[SECONDS, "1"], [SECONDS + 30, "2"]]
    answer = success("matrix", [{"metric": {"a": "b"}, "values": values}])
    series, requests = ask(
        serving,
        web.json_response(answer),
        lambda api: api.query_range("q", start=AT, end=AT + timedelta(minutes=1), step=timedelta(seconds=15)),
    )
    assert series == [
        Series(
            {"a": "b"},
            (Sample({"a": "b"}, 1.0, AT), Sample({"a": "b"}, 2.0, AT + timedelta(seconds=30))),
        )
    ]
    assert requests[0][1] | {"query": "q"} == {
        "query": "q",
        "timeout": "10s",
        "start": "1767225600.000",
        "end": "1767225660.000",
        "step": "15.000",
    }


@pytest.mark.parametrize(
    ("status", "answer", "match"),
    [
        (
            400,
            {"status": "error", "errorType": "bad_data", "error": "parse error at char 3"},
            "parse error at",
        ),
        (422, {"status": "error", "errorType": "execution", "error": "too many samples"}, "too many samples"),
        (200, success("matrix", []), "yields a matrix"),
        (200, success("string", [SECONDS, "text"]), "yields a string"),
        (200, success("vector", [{"metric": {}, "value": [1, "1"]}] * 2), "2 series"),
        (200, success("vector", [{"metric": {}, "histogram": [1, {}]}]), "native histograms"),
    ],
)
def test_what_lies_in_the_query_is_for_its_author(
    serving: Serving, status: int, answer: Any, match: str
) -> None:
    with pytest.raises(QueryRejected, match=match):
        ask(serving, web.json_response(answer, status=status), lambda api: api.query_scalar("q"))


@pytest.mark.parametrize(
    "answer",
    [
        web.json_response({"status": "error", "errorType": "timeout", "error": "timed out"}, status=503),
        web.Response(status=502, text="<html>"),
        web.Response(status=200, text="<html>a login page"),
        web.json_response({"status": "success"}),
        web.json_response({"status": "success", "data": {"resultType": "vector", "result": [{"value": 1}]}}),
        web.json_response(success("vector", [{"metric": {}, "value": [1, None]}])),
        "silence",
        "flood",
    ],
)
def test_a_lost_answer_is_no_answer(serving: Serving, answer: Any) -> None:
    with pytest.raises(PrometheusUnavailable, match="gives no answer"):
        ask(serving, answer, lambda api: api.query("q"))


def test_no_server_is_no_answer_and_the_password_is_not_told() -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await Prometheus("http://user:hunter2@127.0.0.1:1", session).query("q")

    with pytest.raises(PrometheusUnavailable) as raised:
        run_story(main())
    assert "127.0.0.1:1" in str(raised.value)
    assert "hunter2" not in str(raised.value)
