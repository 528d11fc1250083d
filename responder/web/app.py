"""The aiohttp application: which path leads where."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from responder.clock import Clock
from responder.settings import Settings
from responder.telemetry import METRICS_CONTENT_TYPE, Metrics
from responder.web.ports import InteractionReceiver, Readiness, WebhookReceiver
from responder.web.webhook import AlertmanagerWebhook


def web_app(
    intake: WebhookReceiver,
    interactions: InteractionReceiver,
    readiness: Callable[[], Readiness],
    metrics: Metrics,
    settings: Settings,
    clock: Clock,
) -> web.Application:
    """Make the application; whoever runs it stops it, after which requests under way are ended.

    Without a Slack signing secret there is no /slack/interactions: an unsigned click is nobody's.
    """
    webhook = AlertmanagerWebhook(
        intake,
        metrics,
        token=settings.webhook_token,
        max_body_bytes=settings.max_body_bytes,
        max_alerts=settings.max_alerts,
        # Without an Alertmanager to ask, its name for the receiver does not matter.
        receiver=settings.receiver if settings.alertmanager_urls else None,
    )
    probes = _Probes(readiness, metrics)
    app = web.Application()
    app.add_routes(
        [
            web.post("/webhooks/alertmanager", webhook.post),
            web.get("/healthz", probes.get_health),
            web.get("/readyz", probes.get_readiness),
            web.get("/metrics", probes.get_metrics),
        ]
    )
    if settings.slack_signing_secret is not None:
        # Imported only for those who use Slack: its library takes a tenth of the start.
        from responder.web.slack import SlackInteractions

        slack = SlackInteractions(
            interactions,
            clock,
            signing_secret=settings.slack_signing_secret,
            max_body_bytes=settings.max_body_bytes,
        )
        app.add_routes([web.post("/slack/interactions", slack.post)])
    return app


class _Probes:
    """What kubelet and Prometheus ask."""

    def __init__(self, readiness: Callable[[], Readiness], metrics: Metrics) -> None:
        self._readiness = readiness
        self._metrics = metrics

    async def get_health(self, _request: web.Request) -> web.Response:
        """200 as long as the event loop turns: a restart mends nothing that is missing outside."""
        return web.Response(text="ok\n")

    async def get_readiness(self, _request: web.Request) -> web.Response:
        """200 when every check is fine, else 503; both name each check."""
        readiness = self._observe_readiness()
        checks = {check.name: {"ok": check.ok, "message": check.message} for check in readiness.checks}
        return web.json_response(
            {"ready": readiness.ready, "checks": checks}, status=200 if readiness.ready else 503
        )

    async def get_metrics(self, _request: web.Request) -> web.Response:
        """All metrics."""
        self._observe_readiness()
        # As a header, since aiohttp's content_type argument refuses the parameters in it.
        return web.Response(body=self._metrics.render(), headers={"Content-Type": METRICS_CONTENT_TYPE})

    def _observe_readiness(self) -> Readiness:
        readiness = self._readiness()
        self._metrics.ready.set(readiness.ready)
        return readiness
