"""What others said, in short for people who watch one story: names they know, and what is new first. Pure.

Called by the chronicle and for the guards on the screen.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_SEPARATOR = ": "


@dataclass(frozen=True, slots=True)
class Names:
    """The names that say nothing new in a story: its one workload's, and those of its versions."""

    workload: str
    versions: Mapping[str, str]
    """By the ReplicaSet's name."""

    def shorten(self, text: str) -> str:
        """The text without the workload's name, and with versions in the place of their ReplicaSets."""
        text = re.sub(rf"(:| on)? {re.escape(self.workload)}(?![\w/-])", "", text)
        for name, version in self.versions.items():
            text = text.replace(name, version)
        return text


def without_reason(text: str, told: Collection[str]) -> str:
    """The text without the reason that it ends with, where that was told already."""
    for reason in told:
        for separator in (_SEPARATOR, " - "):
            if reason and text.endswith(separator + reason):
                return text.removesuffix(separator + reason)
    return text


def newly_said(before: str, now: str) -> str:
    """What a text says that the one before did not: without the clauses that both begin with."""
    old, new = before.split(_SEPARATOR), now.split(_SEPARATOR)
    while len(new) > 1 and old and old[0] == new[0]:
        old, new = old[1:], new[1:]
    return _SEPARATOR.join(new)
