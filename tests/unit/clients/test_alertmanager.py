"""The reconcile's view of an Alertmanager: what fires for us, or an error that says why it is not known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from responder.clients.alertmanager import Alertmanager, AlertmanagerRefused, AlertmanagerUnavailable
from tests.shared import run_story

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serving = Callable[[Handler], AbstractAsyncContextManager[str]]

# One of gettableAlerts in openapi.yaml, with every field it has.
ALERT = {
    "annotations": {"summary": "errors"},
    "endsAt": "2026-01-01T00:05:00.000Z",
    "fingerprint": "a1b2",
    "receivers": [{"name": "responder"}],
    "startsAt": "2026-01-01T00:00:00.123Z",
    "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
    "updatedAt": "2026-01-01T00:01:00.000Z",
    "generatorURL": "http://prometheus/graph",
    "labels": {"alertname": "HighErrorRate"},
}


def list_alerts(serving: Serving, answer: web.Response | None) -> tuple[list[Any], list[dict[str, str]]]:
    queries: list[dict[str, str]] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        assert request.path == "/am/api/v2/alerts"
        queries.append(dict(request.query))
        if answer is None:
            await asyncio.Event().wait()
        assert answer is not None
        return answer

    async def main() -> list[Any]:
        async with serving(respond) as url, aiohttp.ClientSession() as session:
            return await Alertmanager(f"{url}/am", session).list_alerts("responder")

    return run_story(main()), queries


def test_a_firing_alert_has_no_end_although_alertmanager_names_a_deadline(serving: Serving) -> None:
    alerts, queries = list_alerts(serving, web.json_response([ALERT]))
    assert [(alert.fingerprint, alert.firing, alert.name) for alert in alerts] == [
        ("a1b2", True, "HighErrorRate")
    ]
    assert queries == [{"active": "true", "silenced": "false", "inhibited": "false", "receiver": "responder"}]


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(text="<html>"),
        web.json_response({}),
        web.json_response([{}]),
        None,
    ],
)
def test_what_is_no_list_of_alerts_is_never_an_empty_one(
    serving: Serving, answer: web.Response | None
) -> None:
    with pytest.raises(AlertmanagerUnavailable, match="gives no answer"):
        list_alerts(serving, answer)


def test_a_refusal_names_what_to_check(serving: Serving) -> None:
    with pytest.raises(AlertmanagerRefused, match="HTTP 400 bad regex; check RESPONDER_ALERTMANAGER_URLS"):
        list_alerts(serving, web.Response(status=400, text="bad regex"))
