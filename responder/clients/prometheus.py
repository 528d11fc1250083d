"""Queries to Prometheus's HTTP API: samples in, no opinion out.

An empty answer is never a zero here: no data, not a number and a lost answer stay three different things.
Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeVar

import aiohttp
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from responder.clients.http import Answer, describe, fetch, shown
from responder.errors import Permanent, Temporary

T = TypeVar("T")

log = structlog.get_logger(__name__)

_QUERY_SECONDS = 10
# Prometheus gives up first, so that its own words reach us rather than a bare timeout.
_TIMEOUT = aiohttp.ClientTimeout(total=_QUERY_SECONDS + 3)
_MAX_BYTES = 16 * 1024 * 1024


class PrometheusUnavailable(Temporary):
    """Prometheus could not be reached or could not answer in time."""


class QueryRejected(Permanent):
    """Prometheus does not accept the query, or answers with what no condition can use."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series; `value` may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Series:
    """One series' samples over a range, oldest first, each at a step; missing steps are missing."""

    labels: Mapping[str, str]
    samples: tuple[Sample, ...]


class Prometheus:
    """One Prometheus server, or anything that speaks its query API."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self._base_url = URL(base_url)
        self._api = {each: self._base_url / "api/v1" / each for each in ("query", "query_range")}
        self._session = session

    async def query(self, promql: str, *, at: datetime | None = None) -> list[Sample]:
        """Evaluate a query at an instant (None: the server's now); one sample a series, none is no data.

        Raises PrometheusUnavailable, QueryRejected.
        """
        parameters = {} if at is None else {"time": _as_seconds(at)}
        data = await self._fetch("query", promql, parameters)
        if isinstance(data, _Scalar):
            return [_sample({}, data.result)]
        if not isinstance(data, _Vector):
            raise QueryRejected(
                f"the query {promql!r} yields a {data.resultType}; a condition needs one value a series"
            )
        return [_sample(found.metric, _numbers(found.value, promql)) for found in data.result]

    async def query_scalar(self, promql: str, *, at: datetime | None = None) -> float | None:
        """Evaluate a query that yields one value; None is no data, NaN stays NaN.

        Raises QueryRejected when there is more than one series, PrometheusUnavailable.
        """
        samples = await self.query(promql, at=at)
        if len(samples) > 1:
            raise QueryRejected(
                f"the query {promql!r} yields {len(samples)} series where one value is needed;"
                " aggregate it, for example with sum(...)"
            )
        return samples[0].value if samples else None

    async def query_range(
        self, promql: str, *, start: datetime, end: datetime, step: timedelta
    ) -> list[Series]:
        """Evaluate a query at each step from start to end, both included.

        Prometheus answers at most 11,000 steps. Raises PrometheusUnavailable, QueryRejected.
        """
        data = await self._fetch(
            "query_range",
            promql,
            {"start": _as_seconds(start), "end": _as_seconds(end), "step": f"{step.total_seconds():.3f}"},
        )
        if not isinstance(data, _Matrix):
            raise self._unavailable(f"it answers a range query with a {data.resultType}")
        return [
            Series(
                found.metric, tuple(_sample(found.metric, pair) for pair in _numbers(found.values, promql))
            )
            for found in data.result
        ]

    async def _fetch(self, endpoint: str, promql: str, parameters: Mapping[str, str]) -> _Data:
        # GET, as aiohttp sends that once more by itself when an idle connection turns out to be closed.
        try:
            answer = await fetch(
                self._session,
                self._api[endpoint],
                {"query": promql, "timeout": f"{_QUERY_SECONDS}s", **parameters},
                timeout=_TIMEOUT,
                max_bytes=_MAX_BYTES,
            )
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise self._unavailable(describe(error)) from error
        content = self._parse(answer)
        # Partial answers (of a Prometheus with remote parts) come as warnings: never drop them silently.
        for text in content.warnings:
            log.warning("prometheus_warning", text=text, query=promql)
        for text in content.infos:
            log.info("prometheus_info", text=text, query=promql)
        if content.data is not None:
            return content.data
        # 503 is a timeout or a shutdown and 500 its storage; 400 and 422 lie in the query.
        if answer.status >= 500 or content.status == "success":
            raise self._unavailable(content.error)
        raise QueryRejected(f"Prometheus rejects the query {promql!r}: {content.error}; correct the rule")

    def _parse(self, answer: Answer) -> _Content:
        try:
            return _Content.model_validate_json(answer.body)
        except ValidationError as error:
            raise self._unavailable(
                f"HTTP {answer.status}, which is no answer of its API; check RESPONDER_PROMETHEUS_URL"
            ) from error

    def _unavailable(self, why: str) -> PrometheusUnavailable:
        return PrometheusUnavailable(f"Prometheus at {shown(self._base_url)} gives no answer: {why}")


# Seconds since the epoch, and the value, which comes as text ("NaN" and "+Inf" are no JSON numbers).
_Pair = tuple[float, float]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _InstantSeries(_Body):
    metric: dict[str, str]
    value: _Pair | None = None  # absent where the series is a native histogram


class _RangeSeries(_Body):
    metric: dict[str, str]
    values: list[_Pair] | None = None


class _Vector(_Body):
    resultType: Literal["vector"]  # noqa: N815 - Prometheus's spelling, here and below
    result: list[_InstantSeries]


class _Matrix(_Body):
    resultType: Literal["matrix"]  # noqa: N815
    result: list[_RangeSeries]


class _Scalar(_Body):
    resultType: Literal["scalar"]  # noqa: N815
    result: _Pair


class _String(_Body):
    resultType: Literal["string"]  # noqa: N815


# Named by its type, so that it is not tried as each of them.
_Data = Annotated[_Vector | _Matrix | _Scalar | _String, Field(discriminator="resultType")]


class _Content(_Body):
    status: Literal["success", "error"]
    data: _Data | None = None
    error: str = "no reason given"
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


def _numbers(found: T | None, promql: str) -> T:
    if found is None:
        raise QueryRejected(
            f"the query {promql!r} yields native histograms where numbers are needed;"
            " use histogram_quantile(...) or histogram_count(...)"
        )
    return found


def _sample(labels: Mapping[str, str], pair: _Pair) -> Sample:
    seconds, value = pair
    return Sample(labels, value, datetime.fromtimestamp(seconds, UTC))


def _as_seconds(instant: datetime) -> str:
    return f"{instant.timestamp():.3f}"
