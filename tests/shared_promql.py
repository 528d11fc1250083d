"""What the built-in PromQL is compared on: series as promtool notates them, queries, and promtool's answers.

The answers in promql.json are promtool's; tests/real asks the real one again. Imported by tests.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from responder.sandbox.prometheus.labels import METRIC_NAME, Labels, labels_of
from responder.sandbox.prometheus.tsdb import Tsdb

GOLDEN = Path(__file__).parent / "unit" / "sandbox" / "prometheus" / "promql.json"

Answer = dict[str, str]
"""A vector: the text of each element's labels, and of its value."""


def load_golden() -> dict[str, Any]:
    """Interval, series, times, and the answers by query and time."""
    golden: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return golden


def parse_labels(text: str) -> Labels:
    """Read name{label="value", ...}."""
    name, _, inner = text.partition("{")
    return labels_of({METRIC_NAME: name, **dict(re.findall(r'(\w+)="([^"]*)"', inner))})


def parse_seconds(text: str) -> int:
    """Read 4m7s."""
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text)
    assert found is not None, text
    return int(found[1] or 0) * 60 + int(found[2] or 0)


def fill(golden: dict[str, Any]) -> Tsdb:
    """A database with the golden series."""
    tsdb = Tsdb()
    for text, notation in golden["series"].items():
        for index, value in enumerate(_expand(notation)):
            time_ms = index * golden["interval_seconds"] * 1000
            if value == "stale":
                tsdb.mark_stale(parse_labels(text), time_ms)
            elif value != "_":
                tsdb.append(parse_labels(text), time_ms, float(value))
    return tsdb


def _expand(notation: str) -> list[str | float]:
    """Source: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series"""
    values: list[str | float] = []
    for token in notation.split():
        if found := re.fullmatch(r"_x(\d+)", token):
            values += ["_"] * int(found[1])
        elif found := re.fullmatch(r"(-?[\d.]+)([+-][\d.]+)?x(\d+)", token):
            step = float(found[2] or 0)
            values += [float(found[1]) + step * i for i in range(int(found[3]) + 1)]
        else:
            values.append(token)
    return values
