"""A click counts with Slack's signature on it, within five minutes, and only once it is written down."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pytest_aiohttp import AiohttpClient

from responder.errors import Temporary
from tests.shared import run_story

Opened = Callable[..., Any]

PATH = "/slack/interactions"
CLICK = {"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "roll_back"}]}
NOW = 1767225600  # what the door's clock shows


def form(payload: Any) -> bytes:
    return urlencode({"payload": payload if isinstance(payload, str) else json.dumps(payload)}).encode()


def signed(body: bytes, at: int = NOW, secret: str = "shhh") -> dict[str, str]:
    """Headers as Slack makes them: version 0 of its signature."""
    digest = hmac.new(secret.encode(), b"v0:%d:" % at + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": str(at),
        "X-Slack-Signature": f"v0={digest}",
    }


@pytest.mark.parametrize("at", [NOW, NOW - 299, NOW + 299])
async def test_a_signed_click_is_passed_on(aiohttp_client: AiohttpClient, opened: Opened, at: int) -> None:
    door = opened()
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, data=form(CLICK), headers=signed(form(CLICK), at))
    assert (answer.status, await answer.text()) == (200, "")
    assert door.interactions.payloads == [CLICK]


BODY = form(CLICK)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY, secret="guess"),
        signed(BODY + b" "),
        signed(BODY, NOW - 301),
        signed(BODY, NOW + 301),
        signed(BODY) | {"X-Slack-Request-Timestamp": "soon"},
        signed(BODY) | {"X-Slack-Request-Timestamp": "9" * 400},
        signed(BODY) | {"X-Slack-Signature": "v0=é"},
        signed(BODY) | {"X-Slack-Signature": ""},
    ],
)
async def test_any_other_signature_is_none(
    aiohttp_client: AiohttpClient, opened: Opened, headers: dict[str, str]
) -> None:
    door = opened()
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, data=BODY, headers=headers)
    assert answer.status == 401
    assert door.interactions.payloads == []


async def test_a_body_that_is_no_text_has_no_signature_either(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    client = await aiohttp_client(opened().app())
    answer = await client.post(PATH, data=b"\xff\xfe", headers=signed(b"\xff\xfe"))
    assert answer.status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"payload", 400),
        (b"other=1", 400),
        (form("{"), 400),
        (form("[]"), 400),
        (form("{}") + b"&" + form("{}"), 400),
        (b"&".join([b"a=1"] * 50), 400),
        (form({"type": "view_submission"}), 422),
        (form({"type": "block_actions", "filler": "x" * 3000}), 413),
    ],
)
async def test_what_is_no_click_is_refused(
    aiohttp_client: AiohttpClient, opened: Opened, body: bytes, status: int
) -> None:
    door = opened(max_body_bytes=3000)
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, data=body, headers=signed(body))
    assert answer.status == status
    assert door.interactions.payloads == []


async def test_a_click_that_was_not_written_down_does_not_look_as_if_it_was(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    async def fail() -> None:
        raise Temporary("the API server is away")

    door = opened()
    door.interactions.instead = fail
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, data=BODY, headers=signed(BODY))
    assert answer.status == 503


def test_slack_is_answered_within_its_three_seconds(opened: Opened) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def main() -> tuple[int, float]:
        door = opened()
        door.interactions.instead = hang
        async with TestClient(TestServer(door.app())) as client:
            answer = await client.post(PATH, data=BODY, headers=signed(BODY))
            return answer.status, asyncio.get_running_loop().time()

    status, seconds = run_story(main())
    assert status == 503
    assert 2.5 <= seconds < 3


async def test_without_a_signing_secret_there_is_no_such_path(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    client = await aiohttp_client(opened(slack_signing_secret=None).app())
    answer = await client.post(PATH, data=BODY, headers=signed(BODY))
    assert answer.status == 404
