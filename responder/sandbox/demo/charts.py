"""Columns over time out of block characters. Pure; used by screen.py."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

_EIGHTHS = " ▁▂▃▄▅▆▇█"

GOOD_STYLE, BAD_STYLE = "green", "red"


def stacked_columns(shares: Sequence[float | None], height: int) -> list[Text]:
    """Rows of columns, the good share from the bottom and the bad one on top of it; None leaves a gap.

    `shares` are the bad ones, from 0 to 1.
    """
    rows = [Text() for _ in range(height)]
    for share in shares:
        filled = 0 if share is None else round((1 - share) * height * 8)
        if share:
            # However small, a bad share shows.
            filled = min(filled, height * 8 - 1)
        for index, row in enumerate(reversed(rows)):
            if share is None:
                row.append(" ")
                continue
            eighths = max(0, min(8, filled - index * 8))
            row.append(_EIGHTHS[eighths], f"{GOOD_STYLE} on {BAD_STYLE}" if eighths < 8 else GOOD_STYLE)
    return rows


def columns_against(
    values: Sequence[float | None], threshold: float, height: int, ceiling: float
) -> list[Text]:
    """Rows of columns up to `ceiling`; those above the threshold are red, a dotted line marks it."""
    rows = [Text() for _ in range(height)]
    line = min(height - 1, math.floor(threshold / ceiling * height))
    for value in values:
        filled = 0 if value is None else round(min(1.0, value / ceiling) * height * 8)
        style = BAD_STYLE if value is not None and value > threshold else GOOD_STYLE
        for index, row in enumerate(reversed(rows)):
            eighths = max(0, min(8, filled - index * 8))
            if eighths == 0 and index == line:
                row.append("┈", "yellow")
            else:
                row.append(_EIGHTHS[eighths], style)
    return rows
