"""Fingerprints (recorded from the real one), merging and parsing agree with Alertmanager 0.25."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.sandbox.alertmanager.alerts import Alert, fingerprint, go_time, merge, parse_posted
from responder.sandbox.prometheus.labels import labels_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            {"alertname": "PaymentSlow", "deployment": "payment-service", "namespace": "default"},
            "2669076924552286",
        ),
        ({"alertname": "Manual", "deployment": "pay1", "severity": "x"}, "b8dcb58be0c74e4d"),
        (
            {
                "alertname": "PaymentErrors",
                "deployment": "payment-service",
                "job": "x",
                "namespace": "default",
                "severity": "page",
            },
            "7d407dab7b8203bd",
        ),
        ({}, "cbf29ce484222325"),
    ],
)
def test_fingerprints(labels: dict[str, str], expected: str) -> None:
    assert fingerprint(labels_of(labels)) == expected


def alert(starts: float, ends: float, *, guessed: bool = False) -> Alert:
    return Alert((("alertname", "A"),), {}, minutes(starts), minutes(ends), NOW, "", guessed)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # Repeated while it fires: the statement of a later end is simply taken.
        (alert(-10, 2), alert(-10, 4), (-10, 4)),
        # Restarted Prometheus: a later start inside the known interval keeps the earlier one.
        (alert(-10, 4), alert(-1, 5), (-10, 5)),
        # Resolved earlier than was thought.
        (alert(-10, 4), alert(-10, -1), (-10, -1)),
        # Anew after it had ended: nothing in common, so a new start.
        (alert(-10, -5), alert(-1, 4), (-1, 4)),
        # A shorter firing end does not beat a longer stated one, but beats a guess.
        (alert(-10, 4), alert(-9, 3), (-10, 4)),
        (alert(-10, 4, guessed=True), alert(-9, 3), (-10, 3)),
        # Two ends in the past: the later one.
        (alert(-10, -1), alert(-10, -2), (-10, -1)),
    ],
)
def test_merging(old: Alert, new: Alert, expected: tuple[float, float]) -> None:
    merged = merge(old, new, NOW)

    assert (merged.starts_at, merged.ends_at) == (minutes(expected[0]), minutes(expected[1]))


def posted(**alert: Any) -> bytes:
    return json.dumps([{"labels": {"alertname": "A"}, **alert}]).encode()


@pytest.mark.parametrize(
    ("body", "starts_at", "ends_at", "guessed"),
    [
        (posted(), NOW, minutes(5), True),
        (posted(startsAt="2026-01-01T11:00:00Z"), minutes(-60), minutes(5), True),
        (posted(endsAt="2026-01-01T13:00:00+01:00"), NOW, NOW, False),
        (
            posted(startsAt="0001-01-01T00:00:00.000Z", endsAt="2026-01-01T11:59:00Z"),
            minutes(-1),
            minutes(-1),
            False,
        ),
    ],
)
def test_missing_times_are_filled_in(
    body: bytes, starts_at: datetime, ends_at: datetime, guessed: bool
) -> None:
    (parsed,) = parse_posted(body, NOW)

    assert (parsed.starts_at, parsed.ends_at, parsed.timed_out_end) == (starts_at, ends_at, guessed)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "parsing alerts body failed"),
        (b"[{}]", "0.labels: Field required"),
        (b'[{"labels":{}}]', "at least one label pair required"),
        (b'[{"labels":{"a":""}}]', "at least one label pair required"),
        (b'[{"labels":{"a":"b"},"startsAt":"soon"}]', "0.startsAt"),
    ],
)
def test_refuses_what_is_no_alert(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_posted(body, NOW)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, "0001-01-01T00:00:00Z"),
        (NOW, "2026-01-01T12:00:00Z"),
        (NOW + timedelta(milliseconds=570), "2026-01-01T12:00:00.57Z"),
    ],
)
def test_times_are_written_as_go_writes_them(at: datetime | None, text: str) -> None:
    assert go_time(at) == text
