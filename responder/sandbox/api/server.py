"""The API server on HTTP: authenticates, authorizes, dispatches, streams watches, keeps the request log.

It turns requests into calls and replies into responses; what they mean is decided elsewhere. The sandbox's
cluster runs it; tests run it alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, assert_never
from weakref import WeakSet

from aiohttp import web

from responder.sandbox.api import status
from responder.sandbox.api.access import ADMIN, Attributes, Authorizer, Tokens
from responder.sandbox.api.answers import refusal, respond
from responder.sandbox.api.call import Call, Reply
from responder.sandbox.api.discovery import answer_discovery
from responder.sandbox.api.disturbances import (
    BreakWatches,
    Disturbance,
    ExpireWatches,
    HangWatches,
    LagWatches,
    LoseHistory,
    Restart,
    SkewClock,
)
from responder.sandbox.api.exchange import BEARER_PREFIX, MAX_BODY_BYTES, Exchange
from responder.sandbox.api.fault_plan import FaultPlan
from responder.sandbox.api.faults import Delay, DropAfter, DropBefore, Effect, Faults, Hang, Late, Refuse
from responder.sandbox.api.listener import Listener
from responder.sandbox.api.lists import requested_version
from responder.sandbox.api.objects import Object
from responder.sandbox.api.openapi import answer_openapi
from responder.sandbox.api.request_log import RequestLog
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.reviews import AUTHENTICATION, AUTHORIZATION, answer_review
from responder.sandbox.api.skewed_clock import SkewedClock
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Store
from responder.sandbox.api.streams import Streams
from responder.sandbox.api.subresources import Subresources
from responder.sandbox.api.tables import tabulation
from responder.sandbox.api.target import Target, parse_target
from responder.sandbox.api.verbs import Verbs
from responder.sandbox.api.views import check_acceptable
from responder.sandbox.gate import Gate, gate_middleware

ADMIN_TOKEN = "admin"
_CHANGING = ("create", "update", "patch", "delete", "deletecollection")
_NOT_FOUND_TEXT = "404 page not found\n"
# How long the real server waits for a version that is yet to come, and how often it looks.
_VERSION_WAIT_SECONDS = 3.0
_VERSION_POLL_SECONDS = 0.05


class ApiServer:
    """A Kubernetes API over one store. log tells who asked for what; faults make it fail on demand."""

    def __init__(self, store: Store, tokens: Tokens | None = None) -> None:
        """tokens: who may come in; by default only an administrator with the token "admin"."""
        self.store = store
        self.tokens = tokens or Tokens({ADMIN_TOKEN: ADMIN})
        self.log = RequestLog()
        self.faults = Faults()
        self.gate: Gate | None = None
        self._authorizer = Authorizer(store)
        self._verbs = Verbs(store, self._authorizer)
        self._subresources = Subresources(store, self._verbs, self.tokens)
        # Its own clock may be made wrong; faults and the log keep to the true one.
        self._clock = store.clock
        self._streams = Streams(store, self._clock)
        self._skewed = SkewedClock(store.clock)
        # Those that wait for their next request as well.
        self._connections: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._is_down = False
        self._listener: Listener | None = None

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve on a socket of its own while the block runs and yield the URL; port 0 takes a free one."""
        async with Listener.opened(self.app(), host, port) as self._listener:
            yield self._listener.url

    def app(self) -> web.Application:
        """Return a web application that serves this API."""
        middlewares = [gate_middleware(lambda: self.gate)]
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=middlewares)
        app.router.add_route("*", "/{path:.*}", self._serve)
        app.on_shutdown.append(self._end_streams)
        return app

    async def play(self, plan: FaultPlan) -> None:
        """Put the plan's rules in force and let befall the server what the plan says, until all of it has."""
        for rule in plan.rules:
            self.faults.add(rule)
        for disturbance in plan.disturbances:
            await self._clock.sleep(max(0.0, (disturbance.at - self._clock.now()).total_seconds()))
            await self.suffer(disturbance)

    async def suffer(self, disturbance: Disturbance) -> None:
        """Let a disturbance happen now, and return when it is over; its own time is not looked at."""
        self.faults.befallen.append(disturbance)
        match disturbance:
            case ExpireWatches(path=path, code=code):
                self._streams.expire(path, code)
            case BreakWatches(path=path):
                self._streams.sever(path)
            case HangWatches(path=path):
                self._streams.hang(path)
            case LagWatches(seconds=seconds, lasts_seconds=lasts, path=path):
                self._streams.delay(path, seconds, self._clock.now() + timedelta(seconds=lasts))
            case LoseHistory():
                self.store.history.compact(self.store.resource_version)
            case SkewClock(seconds=seconds):
                self._skewed.ahead_by = timedelta(seconds=seconds)
                self.store.clock = self._skewed
            case Restart(down_seconds=seconds):
                await self._restart(seconds)
            case _:
                assert_never(disturbance)

    async def _restart(self, down_seconds: float) -> None:
        self._is_down = True
        if self._listener is not None:
            await self._listener.close()
        for connection in tuple(self._connections):
            if isinstance(connection, asyncio.Transport):
                connection.abort()
        # What the server kept in memory of the past is gone with it.
        self.store.history.compact(self.store.resource_version)
        await self._clock.sleep(down_seconds)
        if self._listener is not None:
            await self._listener.reopen()
        self._is_down = False

    async def _end_streams(self, _app: web.Application) -> None:
        self._streams.end()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(request, self._clock.now())
        if request.transport is not None:
            self._connections.add(request.transport)
        try:
            if self._is_down:
                return await self._fall_silent(exchange, DropBefore())
            client = request.headers.get("User-Agent", "")
            effect = self.faults.take(request.method, exchange.target_text, exchange.at, client)
            await exchange.read_body()
            return await self._answer(exchange, effect)
        except ApiError as error:
            return self._respond(exchange, Reply(error.code, error.status()))

    async def _answer(self, exchange: Exchange, effect: Effect | None) -> web.StreamResponse:
        match effect:
            case Refuse(code, retry_after_seconds, after_effect=False):
                return self._respond(exchange, refusal(code), retry_after_seconds)
            case DropBefore() | Hang(after_effect=False):
                self._record(exchange, 0)
                return await self._fall_silent(exchange, effect)
            case Delay(seconds):
                await self._clock.sleep(seconds)
            case DropAfter() | Hang() | Late() | Refuse() | None:
                pass
            case _:
                assert_never(effect)
        exchange.user = self.tokens.authenticate(exchange.authorization)
        target = parse_target(exchange.request.method, exchange.path, exchange.request.query)
        if isinstance(effect, Late):
            asyncio.get_running_loop().call_later(effect.seconds, self._carry_out_late, exchange, target)
            return await self._fall_silent(exchange, Hang())
        if target is not None and target.verb == "watch" and self._resource(target) is not None:
            return await self._stream(exchange, target, effect)
        reply = await self._reply(exchange, target)
        if isinstance(effect, DropAfter | Hang):
            self._record(exchange, 0)
            return await self._fall_silent(exchange, effect)
        if isinstance(effect, Refuse):
            return self._respond(exchange, refusal(effect.code), effect.retry_after_seconds)
        return self._respond(exchange, reply)

    async def _reply(self, exchange: Exchange, target: Target | None) -> Reply:
        request = exchange.request
        known = target is not None and self._resource(target) is not None
        if target is not None and known and request.method == "GET" and request.query.get("resourceVersion"):
            self._authorizer.check(exchange.user, target.attributes())
            await self._wait_for_version(exchange)
        return self._carry_out(exchange, target)

    def _carry_out_late(self, exchange: Exchange, target: Target | None) -> None:
        """Do what was asked, for nobody: a refusal is as good as an answer then."""
        with suppress(ApiError):
            self._carry_out(exchange, target)
        self._record(exchange, 0)

    def _carry_out(self, exchange: Exchange, target: Target | None) -> Reply:
        reply = self._do(exchange, target)
        exchange.effect = reply.code
        return reply

    def _do(self, exchange: Exchange, target: Target | None) -> Reply:
        if target is None or target.plural == "":
            return self._reply_to_path(exchange)
        resource = self._resource(target)
        is_review = target.group in (AUTHORIZATION, AUTHENTICATION)
        if resource is None and not is_review and not self.store.catalog.has_group(target.group):
            return self._reply_to_path(exchange)
        self._authorizer.check(exchange.user, target.attributes())
        call = exchange.call(target)
        if is_review:
            return answer_review(call, self._authorizer)
        if resource is None:
            raise status.no_such_resource()
        exchange.resource = resource if target.subresource in ("", "status") else None
        return self._dispatch(call, resource)

    def _dispatch(self, call: Call, resource: Resource) -> Reply:
        target = call.target
        _check_scope(target, resource)
        if target.verb in _CHANGING:
            check_acceptable(call.accept)
        if target.subresource == "status" and resource.has_status:
            if target.verb not in ("get", "update", "patch"):
                raise status.method_not_allowed()
        elif target.subresource:
            return self._subresources.answer(call, resource)
        match target.verb:
            case "get":
                return self._verbs.get(call, resource)
            case "list":
                return self._verbs.list(call, resource)
            case "create":
                return self._verbs.create(call, resource)
            case "update":
                return self._verbs.update(call, resource)
            case "patch":
                return self._verbs.patch(call, resource)
            case "delete":
                return self._verbs.delete(call, resource)
            case "deletecollection":
                return self._verbs.delete_collection(call, resource)
            case _:
                raise status.method_not_allowed()

    def _reply_to_path(self, exchange: Exchange) -> Reply:
        path, accept = exchange.path, exchange.accept
        verb = exchange.request.method.lower()
        self._authorizer.check(exchange.user, Attributes(verb=verb, path=path))
        if path.startswith("/openapi/"):
            document = answer_openapi(path, self.store.catalog, self.store.kind)
        else:
            document = answer_discovery(path, accept, self.store.catalog)
        if document is None and path.startswith("/apis/") and self._knows_group(path):
            raise status.no_such_resource()
        return Reply(404, _NOT_FOUND_TEXT) if document is None else Reply(200, document)

    def _knows_group(self, path: str) -> bool:
        return self.store.catalog.has_group(path.split("/")[2])

    def _resource(self, target: Target) -> Resource | None:
        return self.store.catalog.find(target.group, target.version, target.plural)

    async def _wait_for_version(self, exchange: Exchange) -> None:
        wanted = requested_version(exchange.request.query) or 0
        waited = 0.0
        while wanted > self.store.resource_version:
            if waited >= _VERSION_WAIT_SECONDS:
                raise status.too_large_version(wanted, self.store.resource_version)
            await self.store.clock.sleep(_VERSION_POLL_SECONDS)
            waited += _VERSION_POLL_SECONDS

    async def _stream(self, exchange: Exchange, target: Target, effect: Effect | None) -> web.StreamResponse:
        resource = self._resource(target)
        assert resource is not None
        self._authorizer.check(exchange.user, target.attributes())
        async with self._streams.opened(exchange, resource, target.namespace) as stream:
            self._record(exchange, 200)
            if isinstance(effect, DropAfter | Hang):
                return await self._fall_silent(exchange, effect)
            return await stream.run()

    async def _fall_silent(self, exchange: Exchange, effect: DropBefore | DropAfter | Hang) -> web.Response:
        if isinstance(effect, Hang):
            # Ends when the client gives up or the server stops: both cancel this handler.
            await asyncio.get_running_loop().create_future()
        exchange.break_off()
        return web.Response()

    def _respond(
        self, exchange: Exchange, reply: Reply, retry_after_seconds: int | None = None
    ) -> web.Response:
        response = respond(exchange.accept, reply, self._table_of(exchange), retry_after_seconds)
        self._record(exchange, response.status)
        return response

    def _table_of(self, exchange: Exchange) -> Callable[[Object], Object] | None:
        resource = exchange.resource
        if resource is None:
            return None
        kind, now = self.store.kind(resource), self.store.clock.now()
        return lambda body: tabulation(resource, kind, exchange.request.query, now).table(body)

    def _record(self, exchange: Exchange, code: int) -> None:
        self.log.append(exchange.record(code))


@asynccontextmanager
async def run_server(app: web.Application, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve app while the block runs and yield its URL; port 0 takes a free one."""
    async with Listener.opened(app, host, port) as listener:
        yield listener.url


def kubeconfig(
    server_url: str, token: str = ADMIN_TOKEN, namespace: str = "default", *, for_kubectl: bool = False
) -> dict[str, Any]:
    """Return a kubeconfig that leads clients to the server as the bearer of token.

    kubectl sends no token where there is no TLS: for_kubectl puts it into the server's URL, which suits
    every other client as well.
    """
    if for_kubectl:
        server_url = f"{server_url}{BEARER_PREFIX}{token}"
    context = {"cluster": "sandbox", "user": "sandbox", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": {"server": server_url}}],
        "users": [{"name": "sandbox", "user": {"token": token}}],
        "contexts": [{"name": "sandbox", "context": context}],
        "current-context": "sandbox",
    }


def _check_scope(target: Target, resource: Resource) -> None:
    if bool(target.namespace) and not resource.namespaced:
        raise status.no_such_resource()
    if resource.namespaced and not target.namespace and target.verb not in ("list", "watch"):
        raise status.no_such_resource() if target.name else status.method_not_allowed()
    if target.verb == "deletecollection" and target.verb not in resource.verbs:
        raise status.method_not_allowed()
