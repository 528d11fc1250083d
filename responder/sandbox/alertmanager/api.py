"""The HTTP API of the built-in Alertmanager: alerts, silences, status, health.

Source: Alertmanager 0.25 api/v2/openapi.yaml, api/v2/api.go.
"""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web

from responder.sandbox.alertmanager.alerts import Alert, parse_posted
from responder.sandbox.alertmanager.server import Alertmanager, CapacityError
from responder.sandbox.outage import outage_middleware
from responder.sandbox.prometheus.formatting import rfc3339
from responder.sandbox.prometheus.labels import match_all, parse_matcher


def alertmanager_app(alertmanager: Alertmanager) -> web.Application:
    """The server's HTTP API; it answers 503 or breaks connections while `alertmanager.outage` says so."""
    api = _Api(alertmanager)
    app = web.Application(middlewares=[outage_middleware(lambda: alertmanager.outage)])
    app.router.add_post("/api/v2/alerts", api.post_alerts)
    app.router.add_get("/api/v2/alerts", api.get_alerts)
    app.router.add_post("/api/v2/silences", api.post_silence)
    app.router.add_get("/api/v2/silences", api.get_silences)
    app.router.add_delete("/api/v2/silence/{id}", api.delete_silence)
    app.router.add_get("/api/v2/status", api.status)
    app.router.add_get("/-/healthy", api.healthy)
    app.router.add_get("/-/ready", api.healthy)
    return app


class _Api:
    def __init__(self, alertmanager: Alertmanager) -> None:
        self._server = alertmanager

    async def post_alerts(self, request: web.Request) -> web.Response:
        try:
            self._server.receive(parse_posted(await request.read(), self._server.clock.now()))
        except ValueError as error:
            return _error(400, str(error))
        except CapacityError as error:
            return _error(500, str(error))
        return web.Response()

    async def get_alerts(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            matchers = [parse_matcher(text) for text in query.getall("filter", [])]
            receiver = re.compile(query.get("receiver", ".*"))
            wanted = {name: _flag(query.get(name, "true"), name) for name in ("active", "silenced")}
            _flag(query.get("inhibited", "true"), "inhibited")
        except (ValueError, re.error) as error:
            return _error(400, str(error))
        answers = [
            self._alert(alert)
            for alert in self._server.alerts()
            if match_all(matchers, alert.labels) and receiver.fullmatch(self._server.receiver_of(alert))
        ]
        return web.json_response(
            [
                answer
                for answer in answers
                if wanted["silenced" if answer["status"]["silencedBy"] else "active"]
            ]
        )

    def _alert(self, alert: Alert) -> dict[str, Any]:
        silenced_by = self._server.silences.muting(alert.labels, self._server.clock.now())
        return {
            "annotations": alert.annotations,
            "endsAt": rfc3339(alert.ends_at),
            "fingerprint": alert.fingerprint,
            "receivers": [{"name": self._server.receiver_of(alert)}],
            "startsAt": rfc3339(alert.starts_at),
            "status": {
                "inhibitedBy": [],
                "silencedBy": silenced_by,
                "state": "suppressed" if silenced_by else "active",
            },
            "updatedAt": rfc3339(alert.updated_at),
            "generatorURL": alert.generator_url,
            "labels": dict(alert.labels),
        }

    async def post_silence(self, request: web.Request) -> web.Response:
        try:
            silence = self._server.silences.add(await request.read(), self._server.clock.now())
        except ValueError as error:
            return _error(400, str(error))
        return web.json_response({"silenceID": silence.id})

    async def get_silences(self, _: web.Request) -> web.Response:
        return web.json_response(self._server.silences.answer(self._server.clock.now()))

    async def delete_silence(self, request: web.Request) -> web.Response:
        if self._server.silences.expire(request.match_info["id"], self._server.clock.now()):
            return web.Response()
        return web.Response(status=404)

    async def status(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "cluster": {"status": "disabled"},
                "config": {"original": ""},
                "versionInfo": {"version": "0.25.0"},
                "uptime": rfc3339(self._server.clock.now()),
            }
        )

    async def healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")


def _flag(text: str, name: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{name} in query must be of type boolean: {json.dumps(text)}")
    return text == "true"


def _error(status: int, text: str) -> web.Response:
    return web.json_response(text, status=status)
