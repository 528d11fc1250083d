"""The webhook's contract: 200 only for what is written down, 503 to hear it again, 4xx told to people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pytest_aiohttp import AiohttpClient

from responder.alerts.model import AlertGroup
from responder.errors import Permanent, Temporary
from tests.shared import run_story

Opened = Callable[..., Any]

PATH = "/webhooks/alertmanager"
BEARER = {"Authorization": "Bearer open sesame"}
ALERT = {
    "status": "firing",
    "labels": {"alertname": "HighErrorRate"},
    "annotations": {},
    "startsAt": "2026-01-01T12:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "a1b2",
}


def delivery(*alerts: Any, **fields: Any) -> dict[str, Any]:
    return {"version": "4", "receiver": "responder", "alerts": list(alerts), **fields}


async def test_what_is_taken_in_is_answered_with_its_receipt(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    door = opened()
    client = await aiohttp_client(door.app())
    resolved = ALERT | {"status": "resolved", "endsAt": "2026-01-01T12:05:00Z", "fingerprint": "c3"}
    answer = await client.post(PATH, json=delivery(ALERT, resolved), headers=BEARER)
    assert answer.status == 200
    assert await answer.json() == {"accepted": 2, "held": 0, "refused": []}
    assert [alert.fingerprint for alert in door.intake.groups[0].alerts] == ["a1b2", "c3"]
    assert door.metric('responder_webhooks_total{reason="",result="accepted"}') == 1
    assert door.metric('responder_alerts_total{status="firing"}') == 1
    assert door.metric('responder_alerts_total{status="resolved"}') == 1
    assert door.intake.told == []


async def test_single_alerts_the_intake_refuses_are_named_and_counted(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    async def receive(_group: AlertGroup) -> Any:
        refused = (SimpleNamespace(fingerprint="a1b2", reason="NoWorkload"),)
        return SimpleNamespace(accepted=0, held=1, refused=refused)

    door = opened()
    door.intake.instead = receive
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, json=delivery(ALERT), headers=BEARER)
    assert answer.status == 200
    assert await answer.json() == {
        "accepted": 0,
        "held": 1,
        "refused": [{"fingerprint": "a1b2", "reason": "NoWorkload"}],
    }
    assert door.metric('responder_alerts_refused_total{reason="NoWorkload"}') == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer open"},
        {"Authorization": "Bearer open sesame!"},
        {"Authorization": "Basic open sesame"},
        {"Authorization": "open sesame"},
        {"Authorization": "Bearer öffne dich"},
    ],
)
async def test_without_the_token_nothing_is_read(
    aiohttp_client: AiohttpClient, opened: Opened, headers: dict[str, str]
) -> None:
    door = opened()
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, json=delivery(ALERT), headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "sesame" not in await answer.text()
    assert door.intake.groups == []
    assert [reason for reason, _ in door.intake.told] == ["Unauthorized"]
    assert door.metric('responder_webhooks_total{reason="Unauthorized",result="refused"}') == 1


async def test_the_schemes_name_may_be_written_in_any_case(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    client = await aiohttp_client(opened().app())
    answer = await client.post(PATH, json=delivery(), headers={"Authorization": "bearer open sesame"})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        ("{", 400, "MalformedJSON"),
        ("[]", 422, "WrongType"),
        (json.dumps(delivery(ALERT | {"labels": {"a": 1}})), 422, "WrongType"),
        (json.dumps(delivery(ALERT | {"startsAt": "yesterday"})), 422, "InvalidValue"),
        (json.dumps({"version": "4"}), 422, "MissingField"),
        (json.dumps(delivery(version="5")), 422, "UnknownVersion"),
        (json.dumps(delivery(*[ALERT] * 4)), 413, "TooManyAlerts"),
        (json.dumps(delivery(filler="x" * 2000)), 413, "BodyTooLarge"),
    ],
)
async def test_what_is_refused_is_answered_counted_and_told(
    aiohttp_client: AiohttpClient, opened: Opened, content: str, status: int, reason: str
) -> None:
    door = opened(max_alerts=3, max_body_bytes=2000)
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, data=content, headers=BEARER | {"Content-Type": "application/json"})
    told = await answer.json()
    assert (answer.status, told["reason"]) == (status, reason)
    assert door.intake.groups == []
    assert door.intake.told == [(reason, told["message"])]
    assert door.metric(f'responder_webhooks_total{{reason="{reason}",result="refused"}}') == 1


async def test_another_content_type_is_refused(aiohttp_client: AiohttpClient, opened: Opened) -> None:
    client = await aiohttp_client(opened().app())
    answer = await client.post(PATH, data=json.dumps(delivery(ALERT)), headers=BEARER)
    assert (answer.status, (await answer.json())["reason"]) == (415, "UnsupportedMediaType")


async def test_the_byte_limit_holds_for_a_body_that_announces_no_length(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b" " * 10_000

    door = opened(max_body_bytes=50_000)
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, data=chunks(), headers=BEARER | {"Content-Type": "application/json"})
    assert (answer.status, (await answer.json())["reason"]) == (413, "BodyTooLarge")
    answer.close()
    assert sent < 10_000_000, "the answer came before the whole body was sent"


async def test_a_body_at_the_limit_is_taken(aiohttp_client: AiohttpClient, opened: Opened) -> None:
    body = json.dumps(delivery(ALERT)).ljust(2000)
    client = await aiohttp_client(opened(max_body_bytes=2000).app())
    answer = await client.post(PATH, data=body, headers=BEARER | {"Content-Type": "application/json"})
    assert answer.status == 200


async def test_alerts_that_alertmanager_left_out_are_counted_and_told(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    door = opened()
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, json=delivery(ALERT, truncatedAlerts=7), headers=BEARER)
    assert answer.status == 200
    assert door.metric('responder_alerts_refused_total{reason="Truncated"}') == 7
    ((reason, message),) = door.intake.told
    assert reason == "Truncated"
    assert "7 alerts" in message


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (Temporary("the API server is away", 7.4), "7"),
        (Temporary("the intake is full"), "5"),
        (Permanent("the CRD is not applied"), "5"),
    ],
)
async def test_what_can_not_be_written_down_is_asked_for_again(
    aiohttp_client: AiohttpClient, opened: Opened, error: Exception, retry_after: str
) -> None:
    async def receive(_group: AlertGroup) -> Any:
        raise error

    door = opened()
    door.intake.instead = receive
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, json=delivery(ALERT), headers=BEARER)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == retry_after
    assert (await answer.json())["reason"] == type(error).__name__
    assert door.metric('responder_alerts_total{status="firing"}') == 0


async def test_without_room_a_delivery_is_not_even_read(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    door = opened()
    door.intake.full = Temporary("the intake is full")
    client = await aiohttp_client(door.app())
    headers = BEARER | {"Content-Type": "application/json"}
    assert (await client.post(PATH, data="{", headers=headers)).status == 503
    assert (await client.post(PATH, data="{", headers=headers | {"Authorization": "no"})).status == 401
    door.intake.full = None
    assert (await client.post(PATH, data="{", headers=headers)).status == 400


async def test_a_refusal_is_answered_even_when_it_can_not_be_told(
    aiohttp_client: AiohttpClient, opened: Opened
) -> None:
    door = opened()
    door.intake.telling_fails = Temporary("PagerDuty is away")
    client = await aiohttp_client(door.app())
    answer = await client.post(PATH, data="{", headers=BEARER | {"Content-Type": "application/json"})
    assert answer.status == 400


def test_an_intake_that_hangs_and_a_body_that_trickles_are_given_up(opened: Opened) -> None:
    async def receive(_group: AlertGroup) -> Any:
        await asyncio.Event().wait()

    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(3600)  # noqa: TID251 - virtual time

    async def main() -> tuple[int, float, int, float]:
        door = opened()
        door.intake.instead = receive
        loop = asyncio.get_running_loop()
        async with TestClient(TestServer(door.app())) as client:
            hung = await client.post(PATH, json=delivery(ALERT), headers=BEARER)
            hung_at = loop.time()
            headers = BEARER | {"Content-Type": "application/json"}
            trickled = await client.post(PATH, data=trickle(), headers=headers)
            trickled_at = loop.time()
            trickled.close()
            return hung.status, hung_at, trickled.status, trickled_at - hung_at

    hung, hung_seconds, trickled, trickled_seconds = run_story(main())
    assert hung == 503
    assert 30 <= hung_seconds < 31
    assert trickled == 408
    assert 10 <= trickled_seconds < 11
