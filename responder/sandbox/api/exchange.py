"""One HTTP request on its way through the server: when it came, who sent it, what it carried, what to note.

It knows the two ways a client may name itself. Only the server uses it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from aiohttp import web

from responder.sandbox.api.access import User
from responder.sandbox.api.call import Call
from responder.sandbox.api.delete_options import is_dry_run
from responder.sandbox.api.protobuf import PROTOBUF_TYPE, decode_protobuf
from responder.sandbox.api.request_log import RequestRecord
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.target import Target

MAX_BODY_BYTES = 3 * 1024 * 1024
# kubectl keeps its credentials to itself where there is no TLS. A path prefix names the bearer instead.
BEARER_PREFIX = "/bearer/"


class Exchange:
    """A request as it came; user is known once the server has authenticated it."""

    def __init__(self, request: web.Request, at: datetime) -> None:
        """at is when it came."""
        self.request = request
        self.at = at
        self.user = User("")
        self.body = b""
        # What the answer is about, once that is known; it decides how a Table of it looks.
        self.resource: Resource | None = None
        # The code with which it was carried out, once it was; its client may be told another one, or none.
        self.effect = 0
        self.path = request.path
        self.authorization = request.headers.get("Authorization", "")
        if request.path.startswith(BEARER_PREFIX):
            token, _, rest = request.path.removeprefix(BEARER_PREFIX).partition("/")
            self.path, self.authorization = f"/{rest}", f"Bearer {token}"

    @property
    def accept(self) -> str:
        """The Accept header, empty without one."""
        return self.request.headers.get("Accept", "")

    @property
    def target_text(self) -> str:
        """The path with its query, as fault rules match it."""
        query = self.request.rel_url.raw_query_string
        return f"{self.path}?{query}" if query else self.path

    def break_off(self) -> None:
        """Break the connection it came on."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def read_body(self) -> None:
        """Take the body in; ApiError 413 above the limit."""
        try:
            self.body = await self.request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {MAX_BODY_BYTES}"
            raise ApiError(413, "RequestEntityTooLarge", message) from None

    def call(self, target: Target) -> Call:
        """Return the request as the verbs see it: a protobuf body is JSON by then."""
        headers = self.request.headers
        content_type = headers.get("Content-Type", "").partition(";")[0].strip()
        body = self.body
        if content_type == PROTOBUF_TYPE:
            content_type, body = "application/json", json.dumps(decode_protobuf(body)).encode()
        return Call(
            at=self.at,
            target=target,
            query=self.request.query,
            user=self.user,
            user_agent=headers.get("User-Agent", ""),
            content_type=content_type,
            body=body,
            accept=self.accept,
        )

    def record(self, code: int) -> RequestRecord:
        """Return what the request log keeps of it; code is 0 where no answer was sent."""
        request, body = self.request, self._shown_body()
        return RequestRecord(
            at=self.at,
            user=self.user.name,
            user_agent=request.headers.get("User-Agent", ""),
            method=request.method,
            path=self.path,
            query=dict(request.query),
            content_type=request.content_type if self.body else "",
            body=body,
            status=code,
            effect=self.effect,
            dry_run=is_dry_run(request.method, self.path, request.query, body),
        )

    def _shown_body(self) -> Any:
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return self.body.decode(errors="replace")
