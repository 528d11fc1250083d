"""More than there is room for: as many incidents as may be open, as many alerts as an incident holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from responder.incidents.model import MAX_ALERTS
from tests.flow.test_input import SOON, Door, alert, delivery, ended, play

STRANGE = {"alertname": "Watchdog"}


def test_alerts_that_need_one_incident_too_many_wait_until_one_closes(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        here = door.here
        await here.rest(timedelta(minutes=2))
        assert (await door.send(delivery(alert("w1", labels=STRANGE))))[0] == 200
        for times in (1, 2):
            status, answer = await door.send(delivery(alert()))
            assert (status, answer["reason"]) == (503, "TooManyIncidents")
            waiting = {"result": "unavailable", "reason": "TooManyIncidents"}
            assert await door.metric("responder_webhooks_total", **waiting) == times
        assert here.incidents() == []
        # Told once, with what to do.
        assert door.refusal_pages() == ["responder/refused/TooManyIncidents"]
        assert sum("RESPONDER_MAX_OPEN_INCIDENTS" in said for said in door.slack()) == 1

        # In one delivery with an alert that has to wait, and still taken in.
        mixed = delivery(alert(), alert("w2", labels=STRANGE))
        assert (await door.send(mixed))[0] == 503
        (incident,) = door.unattributed()
        assert sorted(incident["spec"]["alerts"]) == ["w1", "w2"]
        assert here.incidents() == []

        over = [ended("2026-03-02T09:01:00Z", fingerprint=name, labels=STRANGE) for name in ("w1", "w2")]
        assert (await door.send(delivery(*over)))[0] == 200
        await here.until(
            lambda: door.unattributed()[0]["status"]["phase"] == "Closed", SOON * 2, "room for another one"
        )
        await here.rest(timedelta(seconds=5))
        status, answer = await door.send(delivery(alert()))
        assert (status, answer["accepted"]) == (200, 1)
        assert len(here.incidents()) == 1

    play(tmp_path, story, max_open_incidents=1)


def test_alerts_of_nobody_that_have_no_room_are_named_counted_and_told(tmp_path: Path) -> None:
    beyond = 6

    async def story(door: Door) -> None:
        alerts = [alert(f"w{n:02}", labels=STRANGE) for n in range(MAX_ALERTS + beyond)]
        for _ in range(2):
            status, answer = await door.send(delivery(*alerts))
            assert (status, answer["accepted"], len(answer["refused"])) == (200, MAX_ALERTS, beyond)
        (incident,) = door.unattributed()
        assert len(incident["spec"]["alerts"]) == MAX_ALERTS
        assert len(incident["spec"]["overflow"]) == beyond
        assert set(incident["spec"]["overflow"].values()) == {"Watchdog"}
        assert await door.metric("responder_dropped_total", what="alert") == beyond
        assert door.refusal_pages() == ["responder/refused/IncidentFull"]

        def counted() -> bool:
            status = door.unattributed()[0].get("status", {})
            return bool(status.get("dropped", {}).get("alerts") == beyond)

        await door.here.until(counted, SOON, "counted in the status")
        assert f"{beyond} more had no room" in door.unattributed()[0]["status"]["message"]
        # The end of one that had no room is nothing to be told of.
        gone = ended("2026-03-02T09:05:00Z", fingerprint=f"w{MAX_ALERTS}", labels=STRANGE)
        assert (await door.send(delivery(gone)))[1]["refused"] == []

    play(tmp_path, story, max_alerts=1000, max_body_bytes=1_000_000)


def test_a_label_that_is_too_long_is_shortened_and_counted(tmp_path: Path) -> None:
    async def story(door: Door) -> None:
        long = alert()
        long["labels"] = {**long["labels"], "query": "x" * 5000}
        assert (await door.send(delivery(long)))[0] == 200
        (incident,) = door.here.incidents()
        assert incident["spec"]["alerts"]["a1"]["dropped"] == 1
        await door.here.until(
            lambda: door.here.status().get("dropped", {}).get("labels") == 1, SOON, "counted in the status"
        )
        assert await door.metric("responder_dropped_total", what="label") == 1

    play(tmp_path, story)
