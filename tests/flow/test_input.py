"""Everything that may come through the door, into the running responder: the answer, the count, who is told.

What is taken in is on an incident before the answer; what is refused is answered with a reason, counted, and
told to people once. Nothing is dropped silently.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from responder.incidents.model import MAX_ALERTS
from responder.sandbox.inboxes.pagerduty import AlertState
from responder.sandbox.world import HOME, WEBHOOK_TOKEN
from tests.flow.harness import DEPLOYMENTS, INCIDENTS, SHORT, Stage, stage
from tests.shared import run_story

Story = Callable[["Door"], Awaitable[None]]

SOON = timedelta(seconds=30)
LIMITS = {"max_body_bytes": 20_000, "max_alerts": 5}
WORKLOAD = {"namespace": "payments", "deployment": "payment-service"}
RULE = {"responder_rule": "payment-service/high-error-rate", "alertname": "PaymentServiceHighErrorRate"}


@dataclass
class Door:
    """The running responder, a sender in front of it, and what became of what was sent."""

    here: Stage
    session: aiohttp.ClientSession

    async def send(self, body: Any, *, token: str | None = WEBHOOK_TOKEN, **headers: str) -> tuple[int, Any]:
        """Post a body (bytes and streams as they are, else as JSON) and return status and answer."""
        data = body if isinstance(body, bytes | AsyncIterator) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **headers}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        url = f"{self.here.app.url}/webhooks/alertmanager"
        async with self.session.post(url, data=data, headers=given) as answer:
            return answer.status, await answer.json()

    async def metric(self, name: str, **labels: str) -> float:
        """A counter as a scrape sees it; 0 where it was never counted."""
        async with self.session.get(f"{self.here.app.url}/metrics") as answer:
            text = await answer.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        )

    def unattributed(self) -> list[dict[str, Any]]:
        """The incidents of alerts that no rule speaks of."""
        return self.here.world.cluster.store.list(INCIDENTS, HOME)

    def slack(self) -> list[str]:
        return [message.current.text for message in self.here.world.slack.messages]

    def refusal_pages(self) -> list[str]:
        return [key for key in self.here.world.pagerduty.alerts if key.startswith("responder/refused/")]


def play(tmp_path: Path, story: Story, **settings: int) -> None:
    """Run the story on a world without alerts of its own."""
    limits = LIMITS | settings

    async def main() -> None:
        async with (
            stage(tmp_path, SHORT, settings=limits, replicas=1, scrape_interval_seconds=10.0) as here,
            aiohttp.ClientSession() as session,
        ):
            await story(Door(here, session))

    run_story(main())


def alert(fingerprint: str = "a1", **changes: Any) -> dict[str, Any]:
    """A firing alert of the reference rule."""
    return {
        "status": "firing",
        "labels": WORKLOAD | RULE,
        "annotations": {},
        "startsAt": "2026-03-02T09:00:10Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": fingerprint,
        **changes,
    }


def ended(at: str, **changes: Any) -> dict[str, Any]:
    return alert(status="resolved", endsAt=at, **changes)


def delivery(*alerts: Any, **changes: Any) -> dict[str, Any]:
    return {"version": "4", "receiver": "responder", "truncatedAlerts": 0, "alerts": list(alerts), **changes}


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """A body whose length nobody announces."""
    for start in range(0, len(body), 5000):
        yield body[start : start + 5000]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in alert().items() if key != name}


LARGE = delivery(alert(annotations={"text": "x" * 30_000}))


@dataclass(frozen=True)
class Refused:
    """A delivery, and how it is refused; `paged` where alerts may be lost by it."""

    body: Any
    status: int
    reason: str
    token: str | None = WEBHOOK_TOKEN
    headers: Mapping[str, str] = field(default_factory=dict)
    paged: bool = True


REFUSED = {
    "malformed JSON": Refused(b'{"version": "4", "alerts": [', 400, "MalformedJSON"),
    "not UTF-8": Refused(b'{"version": "\xff"}', 400, "MalformedJSON"),
    "no JSON object": Refused(["4"], 422, "WrongType"),
    "alerts are no list": Refused(delivery() | {"alerts": {}}, 422, "WrongType"),
    "an alert is no object": Refused(delivery("a1"), 422, "WrongType"),
    "labels are no mapping": Refused(delivery(alert(labels=[])), 422, "WrongType"),
    "a label is a number": Refused(delivery(alert(labels={"namespace": 1})), 422, "WrongType"),
    "without labels": Refused(delivery(without("labels")), 422, "MissingField"),
    "without a start": Refused(delivery(without("startsAt")), 422, "MissingField"),
    "without a fingerprint": Refused(delivery(without("fingerprint")), 422, "MissingField"),
    "without alerts": Refused({"version": "4"}, 422, "MissingField"),
    "a start that is no time": Refused(delivery(alert(startsAt="yesterday")), 422, "InvalidValue"),
    "a status nobody knows": Refused(delivery(alert(status="pending")), 422, "InvalidValue"),
    "resolved without an end": Refused(delivery(alert(status="resolved")), 422, "InvalidValue"),
    "unknown version": Refused(delivery(alert(), version="5"), 422, "UnknownVersion"),
    "version as a number": Refused(delivery(alert(), version=4), 422, "UnknownVersion"),
    "too many alerts": Refused(delivery(*(alert(f"a{n}") for n in range(6))), 413, "TooManyAlerts"),
    "too large": Refused(LARGE, 413, "BodyTooLarge"),
    "no JSON by its type": Refused(
        delivery(alert()), 415, "UnsupportedMediaType", headers={"Content-Type": "text/plain"}
    ),
    "no token": Refused(delivery(alert()), 401, "Unauthorized", token=None, paged=False),
    "wrong token": Refused(delivery(alert()), 401, "Unauthorized", token="guess", paged=False),
    "token of another scheme": Refused(
        delivery(alert()),
        401,
        "Unauthorized",
        headers={"Authorization": "Basic c2FuZGJveA=="},
        token=None,
        paged=False,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_answered_counted_and_told_once(tmp_path: Path, name: str) -> None:
    case = REFUSED[name]

    async def story(door: Door) -> None:
        for times in (1, 2):
            status, answer = await door.send(case.body, token=case.token, **case.headers)
            assert (status, answer["reason"]) == (case.status, case.reason)
            assert answer["message"]
            counted = await door.metric("responder_webhooks_total", result="refused", reason=case.reason)
            assert counted == times
        assert door.here.incidents() == door.unattributed() == []
        assert len(door.slack()) == 1
        assert case.reason in door.slack()[0]
        assert door.refusal_pages() == ([f"responder/refused/{case.reason}"] if case.paged else [])

    play(tmp_path, story)


def test_a_large_body_without_an_announced_length_is_refused_as_well(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        status, answer = await door.send(in_pieces(json.dumps(LARGE).encode()))
        assert (status, answer["reason"]) == (413, "BodyTooLarge")
        assert door.here.incidents() == []

    play(tmp_path, story)


UNATTRIBUTED: dict[str, dict[str, str]] = {
    "no label at all": {},
    "no workload": {"alertname": "Watchdog"},
    "no namespace": {"deployment": "payment-service"},
    "two workloads": WORKLOAD | {"statefulset": "payment-db"},
    "a workload that no rule file speaks of": {"namespace": "shop", "deployment": "cart"},
    "a name that no object can have": {"namespace": "../..", "deployment": "a/b"},
    "a rule of another workload": RULE | {"namespace": "shop", "deployment": "cart"},
    "no rule of the workload": WORKLOAD | {"alertname": "SomethingElse"},
}


@pytest.mark.parametrize("name", UNATTRIBUTED)
def test_an_alert_that_no_rule_speaks_of_is_told(tmp_path: Path, name: str) -> None:
    async def story(door: Door) -> None:
        status, answer = await door.send(delivery(alert(labels=UNATTRIBUTED[name])))
        assert (status, answer) == (200, {"accepted": 1, "held": 0, "refused": []})
        assert await door.metric("responder_alerts_total", status="firing") == 1
        (incident,) = door.unattributed()
        assert list(incident["spec"]["alerts"]) == ["a1"]
        assert door.here.incidents() == []
        (said,) = await door.here.until(door.slack, SOON, "told on Slack")
        assert "Alert" in said
        assert door.here.world.pagerduty.alerts == {}
        (incident,) = door.unattributed()
        assert incident["status"]["reason"] == "NoRule"
        assert door.here.writes() == []

    play(tmp_path, story)


def test_a_workload_that_is_not_in_the_cluster_is_for_people(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        here = door.here
        here.world.cluster.store.delete(DEPLOYMENTS, here.world.namespace, here.world.name)
        status, _ = await door.send(delivery(alert()))
        assert status == 200
        await here.reason("WorkloadNotFound", SOON)
        assert here.status()["phase"] == "AwaitingDecision"
        page = await here.until(here.page, SOON, "a page")
        assert page.state is AlertState.TRIGGERED
        assert here.offers() == []

    play(tmp_path, story)


def test_alerts_that_alertmanager_left_out_are_counted_and_told(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        status, answer = await door.send(delivery(alert(), truncatedAlerts=7))
        assert (status, answer["accepted"]) == (200, 1)
        assert await door.metric("responder_alerts_refused_total", reason="Truncated") == 7
        assert len(door.here.incidents()) == 1
        assert any("Truncated" in said and "7" in said for said in door.slack())
        assert door.refusal_pages() == ["responder/refused/Truncated"]

    play(tmp_path, story)


def test_another_receiver_than_the_one_that_is_asked_about_is_told_once(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        for times in (1, 2):
            status, answer = await door.send(delivery(alert(), receiver="payments-oncall"))
            assert (status, answer["refused"]) == (200, [])
            counted = await door.metric(
                "responder_webhooks_total", result="accepted", reason="ReceiverMismatch"
            )
            assert counted == times
        assert len(door.here.incidents()) == 1
        (said,) = [text for text in door.slack() if "ReceiverMismatch" in text]
        assert "set RESPONDER_RECEIVER to 'payments-oncall'" in said
        assert door.refusal_pages() == ["responder/refused/ReceiverMismatch"]

    play(tmp_path, story)


def test_fields_of_a_newer_alertmanager_do_not_matter(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        status, answer = await door.send(delivery(alert(future={"x": 1}), more=[1], notificationReason="new"))
        assert (status, answer["accepted"]) == (200, 1)

    play(tmp_path, story)


def test_an_empty_delivery_opens_nothing(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        assert await door.send(delivery()) == (200, {"accepted": 0, "held": 0, "refused": []})
        assert door.here.incidents() == door.unattributed() == []

    play(tmp_path, story)


def test_the_end_of_an_alert_nobody_knows_opens_nothing(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        assert await door.send(delivery(ended("2026-03-02T09:05:00Z"))) == (
            200,
            {"accepted": 0, "held": 1, "refused": []},
        )
        assert door.here.incidents() == []
        assert door.slack() == []

    play(tmp_path, story)


def test_a_delivery_that_comes_twice_is_one_incident(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        for _ in range(3):
            status, answer = await door.send(delivery(alert(), alert("a2")))
            assert (status, answer["refused"]) == (200, [])
        (incident,) = door.here.incidents()
        assert sorted(incident["spec"]["alerts"]) == ["a1", "a2"]
        await door.here.until(door.slack, SOON, "told")
        await door.here.rest(timedelta(seconds=20))
        assert len(door.slack()) == 1

    play(tmp_path, story)


def test_firing_after_resolved_counts_only_when_it_began_anew(tmp_path: Path) -> None:
    """A late duplicate carries the old start; a genuine one starts after the end."""

    async def story(door: Door) -> None:
        here = door.here
        await here.rest(timedelta(minutes=2))
        await door.send(delivery(alert()))
        await door.send(delivery(ended("2026-03-02T09:01:00Z")))
        await door.send(delivery(alert()))
        (entry,) = here.incidents()[0]["spec"]["alerts"].values()
        assert entry["endsAt"].startswith("2026-03-02T09:01:00")
        await here.phase("Closed", timedelta(minutes=2))

        _, stale = await door.send(delivery(alert()))
        assert (stale["accepted"], stale["held"]) == (0, 1)
        assert len(here.incidents()) == 1

        _, genuine = await door.send(delivery(alert(startsAt="2026-03-02T09:02:00Z")))
        assert (genuine["accepted"], genuine["held"]) == (1, 0)
        assert len(here.incidents()) == 2

    play(tmp_path, story)


def test_more_alerts_at_once_than_an_incident_holds_still_open_it(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        status, answer = await door.send(delivery(*(alert(f"a{n}") for n in range(300))))
        assert status == 200
        (incident,) = door.here.incidents()
        assert len(incident["spec"]["alerts"]) == answer["accepted"] == MAX_ALERTS
        assert len(answer["refused"]) == 300 - MAX_ALERTS
        assert any("IncidentFull" in said for said in door.slack())
        assert door.refusal_pages() == ["responder/refused/IncidentFull"]

    play(tmp_path, story, max_alerts=1000, max_body_bytes=1_000_000)


def test_an_incident_that_is_full_keeps_what_it_has_and_says_what_it_refused(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        for start in range(0, 300, 5):
            status, answer = await door.send(delivery(*(alert(f"a{n}") for n in range(start, start + 5))))
            assert status == 200
        (incident,) = door.here.incidents()
        taken = set(incident["spec"]["alerts"])
        assert taken == {f"a{n}" for n in range(MAX_ALERTS)}
        refused = await door.metric("responder_alerts_refused_total", reason="IncidentFull")
        assert refused == 300 - MAX_ALERTS
        assert [refused["reason"] for refused in answer["refused"]] == ["IncidentFull"] * 5
        assert any("IncidentFull" in said for said in door.slack())
        # The end of one that it has still arrives, also beside those that it has no room for.
        _, answer = await door.send(delivery(ended("2026-03-02T09:05:00Z"), alert("late"), alert("later")))
        assert answer["accepted"] == 1
        assert [refused["fingerprint"] for refused in answer["refused"]] == ["late", "later"]
        (incident,) = door.here.incidents()
        assert datetime.fromisoformat(incident["spec"]["alerts"]["a1"]["endsAt"]).minute == 5

    play(tmp_path, story)


@pytest.mark.parametrize("path", ["/", "/webhooks", "/webhooks/alertmanager/x"])
def test_other_paths_and_methods_are_nobodys(tmp_path: Path, path: str) -> None:
    async def story(door: Door) -> None:
        async with door.session.post(f"{door.here.app.url}{path}", json=delivery(alert())) as answer:
            assert answer.status == 404
        async with door.session.get(f"{door.here.app.url}/webhooks/alertmanager") as answer:
            assert answer.status == 405

    play(tmp_path, story)
