"""Sentences about many things, kept short enough to read. Pure."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 5


def join_some(items: Iterable[str]) -> str:
    """The first five items in order of their text, and how many more there are."""
    found = sorted(items)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
