"""Tables in a terminal: what has no room is left out and named, what people copy stays whole."""

from __future__ import annotations

import re

import pytest

from responder.cli.output import show_table

TITLES = ("NAME", "REASON", "RULE")
ROW = ("deployment-payment-service-1", "CooldownActive", "payment-service/high-error-rate")


def lines(columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a terminal of that width shows, without colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    show_table(TITLES, [ROW], spare=("RULE", "REASON"), whole=("NAME",))
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("columns", "shown", "left_out"),
    [
        (80, ROW, ""),
        (77, ROW, ""),
        (76, ROW[:2], "RULE"),
        (44, ROW[:2], "RULE"),
        (43, ROW[:1], "RULE, REASON"),
    ],
)
def test_what_has_no_room_is_left_out_and_named(
    columns: int,
    shown: tuple[str, ...],
    left_out: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    head, row, *more = lines(columns, monkeypatch, capsys)
    assert tuple(head.split()) == TITLES[: len(shown)]
    assert tuple(row.split()) == shown
    told = f"No room for {left_out}: widen the terminal, or read all of it by -o json."
    assert more == ([told] if left_out else [])
