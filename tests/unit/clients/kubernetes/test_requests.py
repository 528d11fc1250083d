"""What the client sends, what it sends again, and what each answer becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from aiohttp import web

from responder.clients.kubernetes import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    Kubernetes,
    NotFound,
    OutcomeUnknown,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    paths,
)
from responder.errors import Permanent, Temporary
from responder.sandbox.virtual_time import LoopClock
from responder.sandbox.world import free_port
from tests.shared import run_story

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talking = Callable[[Handler], AbstractAsyncContextManager[Kubernetes]]

DEPLOYMENT = paths.deployment("shop", "payment")


def status(code: int, reason: str, message: str = "no", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }


class Script:
    """Answers requests one after the other, the last answer for ever, and remembers what came."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.headers: list[Mapping[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, request.path_qs))
        self.bodies.append(json.loads(body) if body else None)
        self.headers.append(request.headers.copy())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if answer == "silence":
            await asyncio.Event().wait()
        if isinstance(answer, str):
            return web.Response(status=200 if answer.startswith("<") else 404, text=answer)
        code, content, *headers = answer
        return web.json_response(content, status=code, headers=headers[0] if headers else None)


def ask(talking: Talking, script: Script, question: Callable[[Kubernetes], Coroutine[Any, Any, Any]]) -> Any:
    """The answer, or the error, and the virtual seconds it took."""

    async def main() -> tuple[Any, float]:
        async with talking(script.answer) as api:
            started = asyncio.get_running_loop().time()
            try:
                result: Any = await question(api)
            except ApiError as error:
                result = error
            return result, asyncio.get_running_loop().time() - started

    return run_story(main())


def test_a_request_carries_token_name_and_types(talking: Talking) -> None:
    script = Script((200, {"kind": "Deployment"}))
    found, _ = ask(talking, script, lambda api: api.get(DEPLOYMENT))
    assert found == {"kind": "Deployment"}
    assert script.requests == [("GET", "/apis/apps/v1/namespaces/shop/deployments/payment")]
    assert script.headers[0]["authorization"] == "Bearer let-me-in"
    assert script.headers[0]["User-Agent"].startswith("responder/")
    assert script.headers[0]["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("write", "method", "content_type", "body"),
    [
        (
            lambda api: api.json_patch(DEPLOYMENT, [{"op": "test", "path": "/a", "value": None}]),
            "PATCH",
            "application/json-patch+json",
            [{"op": "test", "path": "/a", "value": None}],
        ),
        (
            lambda api: api.merge_patch(DEPLOYMENT, {"metadata": {"labels": {"a": None}}}),
            "PATCH",
            "application/merge-patch+json",
            {"metadata": {"labels": {"a": None}}},
        ),
        (lambda api: api.create(DEPLOYMENT, {"spec": {}}), "POST", "application/json", {"spec": {}}),
        (
            lambda api: api.delete(DEPLOYMENT, uid="u-1"),
            "DELETE",
            "application/json",
            {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "u-1"}},
        ),
        (lambda api: api.delete(DEPLOYMENT), "DELETE", "application/json", None),
    ],
)
def test_writes_name_their_content_type(
    talking: Talking, write: Any, method: str, content_type: str, body: Any
) -> None:
    script = Script((200, {}))
    ask(talking, script, write)
    assert script.requests[0][0] == method
    assert script.headers[0]["Content-Type"] == content_type
    assert script.bodies == [body]


def test_a_list_is_read_to_its_last_page_and_items_get_their_kind(talking: Talking) -> None:
    def page(name: str, token: str, total: str = "7") -> tuple[int, dict[str, Any]]:
        items = [{"metadata": {"name": name}}]
        metadata = {"resourceVersion": total, "continue": token}
        return 200, {"kind": "ReplicaSetList", "apiVersion": "apps/v1", "metadata": metadata, "items": items}

    script = Script(page("one", "next=="), page("two", ""))
    listed, _ = ask(
        talking,
        script,
        lambda api: api.list(paths.replicasets(None), label_selector="app in (a,b)", limit=1),
    )
    assert listed.resource_version == "7"
    assert [item["metadata"]["name"] for item in listed.items] == ["one", "two"]
    assert {(item["kind"], item["apiVersion"]) for item in listed.items} == {("ReplicaSet", "apps/v1")}
    assert [query for _, query in script.requests] == [
        "/apis/apps/v1/replicasets?labelSelector=app+in+(a,b)&limit=1",
        "/apis/apps/v1/replicasets?labelSelector=app+in+(a,b)&limit=1&continue=next%3D%3D",
    ]


def test_a_list_whose_pages_expire_is_begun_again_a_bounded_number_of_times(talking: Talking) -> None:
    first = (200, {"kind": "PodList", "metadata": {"resourceVersion": "7", "continue": "t"}, "items": [{}]})
    expired = (410, status(410, "Expired", "The provided continue parameter is too old"))
    whole = (200, {"kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": [{}]})
    listed, _ = ask(talking, Script(first, expired, whole), lambda api: api.list(paths.pods("shop")))
    assert (len(listed.items), listed.resource_version) == (1, "9")

    script = Script(expired)
    error, _ = ask(talking, script, lambda api: api.list(paths.pods("shop")))
    assert isinstance(error, Expired)
    assert len(script.requests) == 3


@pytest.mark.parametrize(
    ("code", "content", "kind"),
    [
        (404, status(404, "NotFound", name="payment", kind="deployments"), NotFound),
        (409, status(409, "AlreadyExists", name="payment"), AlreadyExists),
        (409, status(409, "Conflict", name="payment"), Conflict),
        (410, status(410, "Gone"), Expired),
        (422, status(422, "Invalid", name="payment", causes=[]), Invalid),
        (403, status(403, "Forbidden"), Forbidden),
        (401, status(401, "Unauthorized"), Unauthorized),
        (413, status(413, "RequestEntityTooLarge"), TooLarge),
        (500, status(500, "", "etcdserver: request is too large"), TooLarge),
        (400, status(400, "BadRequest"), ApiError),
        (404, "404 page not found", NotFound),
        (409, {}, Conflict),
    ],
)
def test_each_answer_becomes_the_error_that_has_its_reaction(
    talking: Talking, code: int, content: Any, kind: type[ApiError]
) -> None:
    script = Script((code, content))
    error, _ = ask(talking, script, lambda api: api.merge_patch(DEPLOYMENT, {}))
    assert type(error) is kind
    assert error.status == code
    assert len(script.requests) == 1, "none of these is worth sending again"
    assert f"PATCH {DEPLOYMENT}" in str(error)


def test_a_failed_test_is_told_from_a_validation_error_by_its_empty_details(talking: Talking) -> None:
    message = "the server rejected our request due to an error in our request"
    failed, _ = ask(
        talking, Script((422, status(422, "Invalid", message))), lambda api: api.json_patch("/x", [])
    )
    invalid, _ = ask(
        talking, Script((422, status(422, "Invalid", name="payment"))), lambda api: api.json_patch("/x", [])
    )
    assert failed.failed_test
    assert not invalid.failed_test


def test_a_missing_resource_is_told_from_a_missing_object(talking: Talking) -> None:
    get = lambda api: api.get(paths.incident("shop", "i-1"))  # noqa: E731
    missing_object, _ = ask(talking, Script((404, status(404, "NotFound", name="i-1"))), get)
    missing_resource, _ = ask(talking, Script("404 page not found\n"), get)
    assert not missing_object.resource_missing
    assert missing_resource.resource_missing


BUSY = status(429, "TooManyRequests", "too many requests", retryAfterSeconds=1)


def test_a_write_is_sent_again_after_429_when_the_server_wishes(talking: Talking) -> None:
    script = Script((429, BUSY, {"Retry-After": "3"}), (201, {"ok": True}))
    made, seconds = ask(talking, script, lambda api: api.create("/x", {}))
    assert made == {"ok": True}
    assert len(script.requests) == 2
    assert 3 <= seconds < 4


def test_429_is_given_up_after_four_requests_or_for_a_long_wish(talking: Talking) -> None:
    script = Script((429, BUSY))
    error, _ = ask(talking, script, lambda api: api.create("/x", {}))
    assert isinstance(error, TooManyRequests)
    assert error.retry_after_seconds == 1.0
    assert len(script.requests) == 4

    script = Script((429, BUSY, {"Retry-After": "60"}))
    error, seconds = ask(talking, script, lambda api: api.get("/x"))
    assert error.retry_after_seconds == 60.0
    assert len(script.requests) == 1
    assert seconds < 1


@pytest.mark.parametrize("answer", [(503, status(503, "ServiceUnavailable")), "drop", (500, {})])
def test_a_read_is_tried_again(talking: Talking, answer: Any) -> None:
    found, _ = ask(talking, Script(answer, answer, (200, {"found": 1})), lambda api: api.get("/x"))
    assert found == {"found": 1}


def test_a_read_is_not_tried_for_ever(talking: Talking) -> None:
    script = Script((503, status(503, "ServiceUnavailable")))
    error, seconds = ask(talking, script, lambda api: api.get("/x"))
    assert type(error) is Unavailable
    assert len(script.requests) == 4
    assert 1 < seconds < 10


@pytest.mark.parametrize(
    "answer",
    [
        "drop",
        "silence",
        (500, status(500, "InternalError")),
        (503, status(503, "ServiceUnavailable")),
        (504, status(504, "Timeout")),
        "<html>a proxy's page</html>",
    ],
)
def test_a_write_whose_answer_is_lost_is_sent_once_and_its_outcome_unknown(
    talking: Talking, answer: Any
) -> None:
    script = Script(answer)
    error, seconds = ask(talking, script, lambda api: api.json_patch("/x", [{"op": "remove", "path": "/a"}]))
    assert type(error) is OutcomeUnknown
    assert len(script.requests) == 1
    assert seconds < 30
    assert not isinstance(error, Permanent | Temporary), "neither giving up nor sending again is right"


def test_a_dry_run_says_so_and_may_be_tried_again(talking: Talking) -> None:
    script = Script("drop", (200, {"dry": True}))
    found, _ = ask(talking, script, lambda api: api.json_patch("/x", [], dry_run=True))
    assert found == {"dry": True}
    assert {query for _, query in script.requests} == {"/x?dryRun=All"}


def test_a_write_that_never_left_is_known_not_to_have_happened(kubeconfig: Callable[[str], Any]) -> None:
    from responder.clients.kubernetes import connect

    async def main() -> None:
        api = await connect(kubeconfig("http://127.0.0.1:1"))
        try:
            with pytest.raises(Unavailable, match=r"no connection: 127\.0\.0\.1:1: Connection refused"):
                await api.create("/x", {})
        finally:
            await api.close()

    run_story(main())


def test_it_is_said_once_when_a_cluster_is_reached_again(kubeconfig: Callable[[str], Any]) -> None:
    from responder.clients.kubernetes import connect

    async def main() -> list[str]:
        port = free_port()
        api = await connect(
            kubeconfig(f"http://127.0.0.1:{port}"), clock=LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        )
        app = web.Application()
        app.router.add_get("/x", Script((200, {})).answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            with structlog.testing.capture_logs() as logs:
                with pytest.raises(Unavailable):
                    await api.get("/x")
                await web.TCPSite(runner, "127.0.0.1", port).start()
                await api.get("/x")
                await api.get("/x")
        finally:
            await api.close()
            await runner.cleanup()
        return [line["event"] for line in logs]

    assert run_story(main()) == [*["kubernetes_retry"] * 3, "kubernetes_reached_again"]
