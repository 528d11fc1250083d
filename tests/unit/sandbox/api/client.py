"""A server of the simulated API and a plain HTTP client of it, for tests of what clients see."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.api.server import ADMIN_TOKEN, ApiServer, run_server
from responder.sandbox.api.store import Object, Store

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass
class Answer:
    """An answer of the server."""

    status: int
    body: Any
    headers: Any


class Client:
    """A plain HTTP client of one server."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession, url: str) -> None:
        self.server = server
        self.session = session
        self.url = url

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        token: str = ADMIN_TOKEN,
        accept: str = "",
        **query: str,
    ) -> Answer:
        """Send a request and return its answer; a JSON answer is parsed."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if accept:
            headers["Accept"] = accept
        if body is not None:
            headers["Content-Type"] = content_type
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        async with self.session.request(
            method, self.url + path, data=data, headers=headers, params=query
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text and "\n" not in text
            return Answer(response.status, json.loads(text) if is_json else text, response.headers)

    async def watch(self, path: str, **query: str) -> list[tuple[str, Any]]:
        """Follow path until the server ends that; what it told."""
        answer = await self.ask("GET", path, watch="1", **query)
        lines = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        events = [json.loads(line) for line in lines.splitlines()]
        return [(event["type"], event["object"]) for event in events]


@asynccontextmanager
async def serving(store: Store, *definitions: Object) -> AsyncIterator[Client]:
    """A client of a server over store, which knows an administrator and somebody with the token "limited"."""
    for definition in definitions:
        store.create("customresourcedefinitions.apiextensions.k8s.io", definition, manager="test")
    server = ApiServer(store, Tokens({ADMIN_TOKEN: ADMIN, "limited": User("limited")}))
    unbounded = aiohttp.ClientTimeout(total=None)
    async with run_server(server.app()) as url, aiohttp.ClientSession(timeout=unbounded) as session:
        yield Client(server, session, url)
