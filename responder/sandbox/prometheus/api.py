"""The HTTP API of the built-in Prometheus: queries, alerts, rules, names of metrics, health.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/, answers compared with Prometheus 2.42.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from aiohttp import web

from responder.sandbox.outage import outage_middleware
from responder.sandbox.prometheus.answers import (
    Json,
    alerts_answer,
    matrix_answer,
    rules_answer,
    value_answer,
)
from responder.sandbox.prometheus.formatting import parse_duration, to_ms
from responder.sandbox.prometheus.promql import ParseError, PromqlError, Query, parse_query
from responder.sandbox.prometheus.server import Prometheus

Handler = Callable[[web.Request], Awaitable[web.Response]]
Compute = Callable[[Prometheus, Mapping[str, str]], Json | list[str]]

MAX_POINTS = 11_000


class _BadDataError(Exception):
    """A parameter that can't be used; str() is the error text."""


def prometheus_app(prometheus: Prometheus) -> web.Application:
    """The server's HTTP API; it answers 503 or breaks connections while `prometheus.outage` says so."""
    app = web.Application(middlewares=[outage_middleware(lambda: prometheus.outage)])
    for path, query in (("/api/v1/query", _query), ("/api/v1/query_range", _query_range)):
        app.router.add_get(path, _answering(prometheus, query))
        app.router.add_post(path, _answering(prometheus, query))
    app.router.add_get("/api/v1/alerts", _answering(prometheus, lambda one, _: alerts_answer(one.groups)))
    app.router.add_get("/api/v1/rules", _answering(prometheus, lambda one, _: rules_answer(one.groups)))
    app.router.add_get(
        "/api/v1/label/__name__/values", _answering(prometheus, lambda one, _: one.tsdb.names())
    )
    app.router.add_get("/-/healthy", _plain("Prometheus Server is Healthy.\n"))
    app.router.add_get("/-/ready", _plain("Prometheus Server is Ready.\n"))
    return app


def _plain(text: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text)

    return answer


def _answering(prometheus: Prometheus, compute: Compute) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        parameters = {name: str(value) for name, value in {**request.query, **await request.post()}.items()}
        if prometheus.answers_after_seconds:
            await prometheus.clock.sleep(prometheus.answers_after_seconds)
        try:
            data = compute(prometheus, parameters)
        except _BadDataError as error:
            return _error(400, "bad_data", str(error))
        except PromqlError as error:
            status = 400 if error.error_type == ParseError.error_type else 422
            return _error(status, error.error_type, str(error))
        return web.json_response({"status": "success", "data": data})

    return answer


def _error(status: int, error_type: str, text: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": error_type, "error": text}, status=status)


def _query(prometheus: Prometheus, parameters: Mapping[str, str]) -> Json:
    now_ms = to_ms(prometheus.clock.now())
    time_ms = _time(parameters, "time") if "time" in parameters else now_ms
    return value_answer(_parse(parameters).at(prometheus.tsdb, time_ms), time_ms)


def _query_range(prometheus: Prometheus, parameters: Mapping[str, str]) -> Json:
    start_ms, end_ms = _time(parameters, "start"), _time(parameters, "end")
    if end_ms < start_ms:
        raise _BadDataError('invalid parameter "end": end timestamp must not be before start time')
    step_ms = _step(parameters.get("step", ""))
    if (end_ms - start_ms) // step_ms > MAX_POINTS:
        raise _BadDataError(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return matrix_answer(_parse(parameters).over(prometheus.tsdb, start_ms, end_ms, step_ms))


def _parse(parameters: Mapping[str, str]) -> Query:
    try:
        return parse_query(parameters.get("query", ""))
    except PromqlError as error:
        raise _BadDataError(f'invalid parameter "query": {error}') from error


def _time(parameters: Mapping[str, str], name: str) -> int:
    """Seconds since the epoch, or RFC 3339, as milliseconds."""
    text = parameters.get(name, "")
    try:
        return round(float(text) * 1000)
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _BadDataError(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp')
    return to_ms(at)


def _step(text: str) -> int:
    try:
        step = timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        try:
            step = parse_duration(text)
        except ValueError as error:
            raise _BadDataError(
                f'invalid parameter "step": cannot parse "{text}" to a valid duration'
            ) from error
    if step < timedelta(milliseconds=1):
        raise _BadDataError(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    return step // timedelta(milliseconds=1)
