"""The HTTP side of the Slack inbox: methods under /api/, answers to clicks under /actions/.

Source: https://docs.slack.dev/apis/web-api
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from responder.sandbox.inboxes.faults import with_faults
from responder.sandbox.inboxes.slack import SlackError, SlackInbox


def slack_routes(inbox: SlackInbox) -> list[web.RouteDef]:
    """The routes by which an app reaches the workspace."""

    async def serve_method(request: web.Request) -> web.StreamResponse:
        async def call() -> web.StreamResponse:
            try:
                arguments = await _read_arguments(request)
                return web.json_response(
                    inbox.call(request.match_info["method"], arguments, _token(request, arguments))
                )
            except SlackError as error:
                return _refusal(error)

        return await with_faults(inbox.faults, inbox.clock, request, call, _fault_body)

    async def serve_response_url(request: web.Request) -> web.StreamResponse:
        async def call() -> web.StreamResponse:
            try:
                inbox.answer_click(request.match_info["key"], await _read_arguments(request))
            except SlackError as error:
                return _refusal(error)
            return web.json_response({"ok": True})

        return await with_faults(inbox.faults, inbox.clock, request, call, _fault_body)

    return [web.route("*", "/api/{method}", serve_method), web.post("/actions/{key}", serve_response_url)]


async def _read_arguments(request: web.Request) -> dict[str, Any]:
    """A method's arguments: JSON, a form or the query, where blocks and metadata are JSON texts."""
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except json.JSONDecodeError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return body
    arguments: dict[str, Any] = {**request.query, **await request.post()}
    for name in ("blocks", "metadata"):
        if name in arguments:
            try:
                arguments[name] = json.loads(arguments[name])
            except (TypeError, json.JSONDecodeError):
                raise SlackError(f"invalid_{name}_format") from None
    return arguments


def _token(request: web.Request, arguments: dict[str, Any]) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else str(arguments.get("token", ""))


def _refusal(error: SlackError) -> web.Response:
    return web.json_response(error.body, status=error.status, headers=error.headers)


def _fault_body(code: int) -> dict[str, Any]:
    return {"ok": False, "error": "ratelimited" if code == 429 else "service_unavailable"}
