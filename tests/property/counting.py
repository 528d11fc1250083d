"""Examples by property: how many were told, and the real seconds that they took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, settings


@dataclass(slots=True)
class Count:
    examples: int = 0
    seconds: float = 0.0


COUNTS: defaultdict[str, Count] = defaultdict(Count)


@contextmanager
def counted(name: str) -> Iterator[None]:
    """Count one example of that property."""
    began = time.perf_counter()
    yield
    COUNTS[name].examples += 1
    COUNTS[name].seconds += time.perf_counter() - began


def examples(number: int, *, shrink: bool = True) -> settings:
    """So many examples, the same ones in every run. A whole story is too slow to be shrunk."""
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
