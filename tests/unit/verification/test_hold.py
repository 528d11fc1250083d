"""How long the claim has to hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from responder.verification.hold import hold_window, note_probes


def container(**probe: int) -> dict[str, Any]:
    return {"name": "c", "readinessProbe": {"httpGet": {}, **probe}}


PLAIN: dict[str, Any] = {"name": "plain"}


@pytest.mark.parametrize(
    ("spec", "min_ready_seconds", "seconds", "reason"),
    [
        ({"containers": [container()]}, 0, 31, "ReadinessProbed"),
        (
            {"containers": [container(periodSeconds=5, failureThreshold=2, timeoutSeconds=3)]},
            0,
            13,
            "ReadinessProbed",
        ),
        ({"containers": [container(periodSeconds=1), container(periodSeconds=20)]}, 0, 61, "ReadinessProbed"),
        ({"containers": [container(periodSeconds=1), PLAIN]}, 7, 11, "ReadinessProbed"),
        (
            {"containers": [PLAIN], "initContainers": [container(periodSeconds=2)]},
            0,
            7,
            "ReadinessProbed",
        ),
        ({"containers": [PLAIN]}, 0, 31, "NoReadinessProbe"),
        ({"containers": [PLAIN]}, 5, 36, "NoReadinessProbe"),
    ],
)
def test_the_window_covers_the_slowest_probe(
    spec: dict[str, Any], min_ready_seconds: int, seconds: int, reason: str
) -> None:
    window = hold_window({"spec": spec}, min_ready_seconds, None)
    assert window.duration.total_seconds() == seconds
    assert note_probes(window).reason == reason


def test_a_rules_wish_counts_and_changes_nothing_about_the_probes() -> None:
    window = hold_window({"spec": {"containers": [PLAIN]}}, 30, timedelta(seconds=3))
    assert window.duration == timedelta(seconds=3)
    assert note_probes(window).reason == "NoReadinessProbe"
