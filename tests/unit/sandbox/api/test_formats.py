"""Which texts the API takes for an instant."""

from __future__ import annotations

import pytest

from responder.sandbox.api.schema import is_date_time


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2026-03-02T09:00:00Z", True),
        ("2026-03-02t09:00:00z", True),
        ("2026-03-02T09:00:00.123456789Z", True),
        ("2026-03-02T09:00:00.5+05:30", True),
        ("2026-03-02T09:00:00-11:00", True),
        ("2026-03-02T09:00:00", False),
        ("2026-03-02 09:00:00Z", False),
        ("2026-02-30T09:00:00Z", False),
        ("2026-03-02T24:00:00Z", False),
        ("2026-03-02T09:60:00Z", False),
        ("2026-03-02", False),
        ("yesterday", False),
        ("", False),
        # Not a text: its type is refused elsewhere.
        (7, True),
    ],
)
def test_date_time(text: object, *, taken: bool) -> None:
    assert is_date_time(text) is taken
