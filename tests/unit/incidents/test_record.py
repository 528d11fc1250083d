"""Which alert instances an incident has to be opened for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.alerts.model import Alert
from responder.incidents.model import AlertEntry, WorkloadRef
from responder.incidents.record import (
    MAX_HELD,
    MAX_HELD_BYTES,
    Held,
    WorkloadRecordSpec,
    bounded,
    hold,
    is_new_instance,
)

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def minute(n: int | None) -> datetime | None:
    return None if n is None else AT + timedelta(minutes=n)


def alert(starts: int, ends: int | None = None) -> Alert:
    return Alert("f1", {"alertname": "A"}, {}, AT + timedelta(minutes=starts), minute(ends), "")


def held(
    starts: int, ends: int | None = None, vanished: int | None = None, recovered: int | None = None
) -> Held:
    return Held(
        starts_at=AT + timedelta(minutes=starts),
        ends_at=minute(ends),
        vanished_at=minute(vanished),
        recovered_at=minute(recovered),
        incident="i-1",
        last_seen_at=AT,
    )


@pytest.mark.parametrize(
    ("delivered", "known", "new"),
    [
        (alert(0), None, True),
        (alert(0, 5), None, False),
        # Repeated, or from another Prometheus or after a restart of it, with another start.
        (alert(0), held(0), False),
        (alert(1), held(0), False),
        (alert(-1), held(0), False),
        # Ended since, and then it began anew.
        (alert(6), held(0, 5), True),
        (alert(0), held(0, 5), False),
        (alert(5), held(0, 5), False),
        # The held one began after the end that was seen: that end is an earlier instance's.
        (alert(6), held(6, 5), False),
        (alert(7), held(6, 5), False),
        (alert(6, 8), held(0, 5), False),
        # Gone from every Alertmanager: back from a silence, or begun anew after an end that nobody saw.
        (alert(0), held(0, vanished=5), False),
        (alert(4), held(0, vanished=5), False),
        (alert(6), held(0, vanished=5), True),
        (alert(7), held(6, 5, vanished=8), False),
        # The end itself, delivered later than it was missed.
        (alert(6), held(0, 5, vanished=8), True),
        # The condition was false in between, so there was an end, though nobody was told.
        (alert(6), held(0, recovered=5), True),
        (alert(5), held(0, recovered=5), False),
        # It goes on although the condition is false: by a clock that is behind, or a rule that keeps it so.
        (alert(6), held(6, recovered=5), False),
        (alert(0), held(0, recovered=5), False),
    ],
)
def test_new_instance(delivered: Alert, known: Held | None, new: bool) -> None:
    assert is_new_instance(delivered, known) is new


def test_what_an_incident_took_is_held_as_it_was() -> None:
    labels = {"alertname": "A"}
    entries = {
        "f1": AlertEntry(labels=labels, starts_at=AT),
        "f2": AlertEntry(labels=labels, starts_at=AT, ends_at=AT + timedelta(minutes=3)),
        "f3": AlertEntry(labels=labels, starts_at=AT, vanished_at=AT + timedelta(minutes=3)),
    }
    kept = hold(entries, "i-7", AT + timedelta(hours=1), recovered=False)
    assert {key: entry.firing for key, entry in kept.items()} == {"f1": True, "f2": False, "f3": False}
    assert {entry.incident for entry in kept.values()} == {"i-7"}
    assert not any(is_new_instance(Alert(key, labels, {}, AT, None, ""), kept[key]) for key in kept)


def test_what_is_held_is_bounded() -> None:
    def seen(entry: Held, n: int) -> Held:
        return entry.model_copy(update={"last_seen_at": AT + timedelta(minutes=n)})

    many = {f"f{n}": seen(held(0), n) for n in range(MAX_HELD - 1)}
    assert bounded(many) == many
    over = {**many, "gone": seen(held(0, vanished=1), MAX_HELD), "ended": seen(held(0, 1), MAX_HELD + 1)}
    assert bounded(over).keys() == many.keys() | {"ended"}
    assert "f0" not in bounded({**many, "f500": seen(held(0), 500), "f501": seen(held(0), 501)})


def record(**spec: Any) -> WorkloadRecordSpec:
    return WorkloadRecordSpec(workload=WorkloadRef(kind="Deployment", name="app"), **spec)


def test_what_is_forgotten_is_counted() -> None:
    many = {f"f{n}": held(0) for n in range(MAX_HELD - 1)}
    full = record().holding(many).holding({"new": held(1)})
    assert (len(full.held), full.held_dropped) == (MAX_HELD, 0)
    over = full.holding({"more": held(1), "f1": held(2)})
    assert (len(over.held), over.held_dropped) == (MAX_HELD, 1)
    assert over.holding({"again": held(2)}).held_dropped == 2


def test_what_is_held_is_bounded_in_bytes() -> None:
    labels = {f"label{n}": "x" * 1000 for n in range(5)}
    large = {f"f{n}": held(0).model_copy(update={"labels": labels}) for n in range(200)}
    spec = record().holding(large)
    assert 0 < len(spec.held) < 200
    assert len(spec.held) + spec.held_dropped == 200
    assert len(json.dumps(spec.model_dump(mode="json", by_alias=True)["held"])) <= MAX_HELD_BYTES
