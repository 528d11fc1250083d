"""Serves each simulated pod's metrics as a real pod would, at http://POD_IP:9102/metrics.

For the demo, where a real Prometheus scrapes loopback addresses (127.x.y.z) that the pods have as their IPs.
The built-in Prometheus reads the counters directly instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web

from responder.errors import ResponderError
from responder.sandbox.traffic.metrics import DURATION, ERRORS, TRANSACTIONS, PodCounters, PodMetrics
from responder.sandbox.traffic.pods import PodDirectory, PodFacts

METRICS_PORT = 9102

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FAMILIES = {
    TRANSACTIONS: ("counter", "Payments attempted."),
    ERRORS: ("counter", "Payments that failed."),
    DURATION: ("histogram", "Time from receiving a payment to answering it, in seconds."),
}


class ListenerError(ResponderError):
    """A pod's metrics can't be served."""


def render_metrics(counters: PodCounters) -> str:
    """The pod's counters in the text exposition format.

    Source: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    lines: list[str] = []
    described: set[str] = set()
    for name, labels, value in counters.samples():
        family = next(family for family in _FAMILIES if name.startswith(family))
        if family not in described:
            described.add(family)
            kind, description = _FAMILIES[family]
            lines += [f"# HELP {family} {description}", f"# TYPE {family} {kind}"]
        inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
        lines.append(f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


class MetricsListeners:
    """One listening socket a running pod, opened and closed as pods come and go."""

    def __init__(self, pods: PodDirectory, metrics: PodMetrics, port: int = METRICS_PORT) -> None:
        self._pods = pods
        self._metrics = metrics
        self._port = port
        self._sites: dict[str, web.TCPSite] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled, then close every socket. Raises ListenerError."""
        app = web.Application()
        app.router.add_get("/metrics", self._serve)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stop_listening = self._pods.on_change(lambda _pod, _exists: self._changed.set())
        try:
            while True:
                self._changed.clear()
                await self._reconcile(runner, [pod for pod in self._pods.all() if pod.answers])
                await self._changed.wait()
        finally:
            stop_listening()
            await runner.cleanup()
            self._sites.clear()

    async def _reconcile(self, runner: web.AppRunner, pods: Iterable[PodFacts]) -> None:
        wanted = {pod.ip: pod for pod in pods}
        for ip in self._sites.keys() - wanted.keys():
            await self._sites.pop(ip).stop()
        for ip in sorted(wanted.keys() - self._sites.keys()):
            self._sites[ip] = await self._open(runner, wanted[ip])

    async def _open(self, runner: web.AppRunner, pod: PodFacts) -> web.TCPSite:
        if not pod.ip.startswith("127."):
            raise ListenerError(
                f"pod {pod.name} has the address {pod.ip}, on which nothing can listen here: "
                "give the sandbox's pods loopback addresses (127.x.y.z)"
            )
        site = web.TCPSite(runner, pod.ip, self._port)
        try:
            await site.start()
        except OSError as error:
            raise ListenerError(
                f"the metrics of pod {pod.name} can't be served at {pod.ip}:{self._port}: {error.strerror}; "
                "is another sandbox running?"
            ) from error
        return site

    async def _serve(self, request: web.Request) -> web.Response:
        address = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        pod = self._pods.by_ip(address)
        if pod is None or not pod.answers:
            response = web.Response(status=503, text="the pod is gone\n")
        else:
            text = render_metrics(self._metrics.of(pod))
            response = web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})
        # A kept-alive connection would outlive the pod and reach whoever gets its address next.
        response.force_close()
        return response
