"""A Prometheus that answers at once with values fixed beforehand, so that only the responder's time shows.

Of each namespace it knows from when until when the metric is bad. It evaluates nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from responder.sandbox.api.server import run_server

BAD, GOOD = 0.5, 0.0
_SAMPLES = 10_000.0
_NAMESPACE = re.compile(r'namespace="([^"]+)"')


@dataclass(slots=True)
class FixedPrometheus:
    """`bad` holds, by namespace, the instants (Unix seconds) between which the metric is bad."""

    bad: dict[str, tuple[float, float]] = field(default_factory=dict)
    url: str = ""

    def value(self, query: str, at: float) -> float:
        """What the query yields at an instant: a share, or a number of samples."""
        if "requests_total" in query:
            return _SAMPLES
        found = _NAMESPACE.search(query)
        since, until = self.bad.get(found[1] if found else "", (float("inf"), 0.0))
        share = BAD if since <= at < until else GOOD
        return share * _SAMPLES if "errors_total" in query else share

    async def query(self, request: web.Request) -> web.Response:
        """/api/v1/query."""
        at = float(request.query["time"])
        point = [at, str(self.value(request.query["query"], at))]
        return _success({"resultType": "vector", "result": [{"metric": {}, "value": point}]})

    async def query_range(self, request: web.Request) -> web.Response:
        """/api/v1/query_range."""
        start, end, step = (float(request.query[name].rstrip("s")) for name in ("start", "end", "step"))
        instants = [start + number * step for number in range(int((end - start) / step) + 1)]
        values = [[at, str(self.value(request.query["query"], at))] for at in instants]
        return _success({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})


@asynccontextmanager
async def fixed_prometheus() -> AsyncIterator[FixedPrometheus]:
    """Serve one on a loopback port."""
    prometheus = FixedPrometheus()
    app = web.Application()
    app.router.add_get("/api/v1/query", prometheus.query)
    app.router.add_get("/api/v1/query_range", prometheus.query_range)
    async with run_server(app) as url:
        prometheus.url = url
        yield prometheus


def _success(data: dict[str, object]) -> web.Response:
    return web.json_response({"status": "success", "data": data})
