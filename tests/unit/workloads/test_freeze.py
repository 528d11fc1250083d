"""The freeze mark: with and without an end; what can't be read is a freeze."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.workloads.freeze import FreezeMark, frozen, parse_freeze, write_freeze
from responder.workloads.views import FREEZE

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "mark"),
    [
        ("", FreezeMark("")),
        ("audit", FreezeMark("audit")),
        ("until 2026-03-02T12:00:00Z: audit", FreezeMark("audit", NOON)),
        ("until 2026-03-02T12:00Z: a: b\nc", FreezeMark("a: b\nc", NOON)),
        ("until 2026-03-02T14:00:00+02:00: audit", FreezeMark("audit", NOON)),
        ("until 2026-03-02T12:00:00Z", FreezeMark("", NOON)),
        (" until 2026-03-02T12:00:00.5Z: ", FreezeMark("", NOON + timedelta(seconds=0.5))),
    ],
)
def test_what_a_mark_says(value: str, mark: FreezeMark) -> None:
    assert parse_freeze(value) == mark


@pytest.mark.parametrize(
    "value",
    [
        "until the audit is over",
        "until 2026-03-02T12:00:00: no offset",
        "until 2026-03-02: no time",
        "until 2026-13-02T12:00:00Z: no such month",
        "until 0000-03-02T12:00:00Z: no such year",
        "until 0001-01-01T00:00:00+10:00: before any year",
        "until 1772452800: no date",
        "Until 2026-03-02T12:00:00Z: in capitals",
        "until 2026-03-02T12:00:00Z audit",
        "audit until 2026-03-02T12:00:00Z",
    ],
)
def test_an_end_that_can_not_be_read_is_a_freeze_without_one(value: str) -> None:
    assert parse_freeze(value) == FreezeMark(value)
    assert parse_freeze(value).in_force(NOON + timedelta(days=99_999))


@pytest.mark.parametrize("mark", [FreezeMark("audit"), FreezeMark("", NOON), FreezeMark("a: b", NOON)])
def test_what_is_written_is_read_back(mark: FreezeMark) -> None:
    assert parse_freeze(write_freeze(mark)) == mark


@pytest.mark.parametrize(("seconds", "counts"), [(-1, True), (0, False), (1, False)])
def test_a_freeze_counts_up_to_its_end(seconds: int, counts: bool) -> None:
    value = write_freeze(FreezeMark("audit", NOON))
    found = frozen({"metadata": {"annotations": {FREEZE: value}}}, NOON + timedelta(seconds=seconds))
    assert found == (value if counts else None)


@pytest.mark.parametrize("metadata", [None, {}, {"annotations": None}, {"annotations": {"other": "x"}}])
def test_no_mark_is_no_freeze(metadata: object) -> None:
    assert frozen({"metadata": metadata}, NOON) is None
