"""What a question to people is about: a new one only when what they decide about is another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from responder.rules.decide import decide
from responder.rules.facts import Freeze, Others
from responder.rules.measurement import Measurement
from tests.unit.rules.build import (
    BRAKE,
    MINUTE,
    NOW,
    V2_FROM,
    apart,
    by_pod,
    facts,
    measured,
    measurements,
    series,
)

LOOK = timedelta(seconds=15)
EARLY_ONSET = V2_FROM - MINUTE


def rate(value: float, samples: float) -> Measurement:
    return measured(value, samples=samples, bad=value * samples)


def errors(value: float | None, samples: float | None) -> Any:
    bad = None if value is None or samples is None else value * samples
    return measurements(measured(value, samples=samples, bad=bad), measured(0.2))


# What people are asked about, and what the next look finds: other numbers, and nothing else.
MOVED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "frozen, and the rate goes on": (
        {"freezes": (Freeze("everything", "audit"),), "measurements": errors(0.05, 3000)},
        {"freezes": (Freeze("everything", "audit"),), "measurements": errors(0.07, 3500)},
    ),
    "the onset is found a sample later": (
        {"series": {"error_rate": series(0.0, EARLY_ONSET)}},
        {"series": {"error_rate": series(0.001, EARLY_ONSET + MINUTE / 2, bad=0.08)}},
    ),
    "too few samples, a few more": (
        {"measurements": errors(0.05, 120)},
        {"measurements": errors(0.06, 150)},
    ),
    "no more than the old pods": (
        {"apart": apart(rate(0.05, 3000), rate(0.05, 3000), rate(0.05, 3000))},
        {"apart": apart(rate(0.06, 3100), rate(0.05, 3000), rate(0.05, 3000))},
    ),
    "one node": (
        {"by_pod": by_pod(("p1", 3_000, 300), ("p2", 3_000, 0))},
        {"by_pod": by_pod(("p1", 3_400, 350), ("p2", 3_300, 1))},
    ),
    "another way in which Prometheus fails": (
        {"measurements": errors(None, None), "trouble": "It answered 503."},
        {"measurements": errors(None, None), "trouble": "It did not answer within 5 s."},
    ),
}


@pytest.mark.parametrize("case", MOVED)
def test_what_moves_at_each_look_makes_no_new_question(case: str) -> None:
    before, after = MOVED[case]
    others = Others(BRAKE, NOW - MINUTE, ())
    shown = decide(facts(others=others, **before))
    later = decide(replace(facts(others=others, **after), now=NOW + LOOK))
    assert shown.overridable, "there is something to decide about"
    assert [each.message for each in shown.verdicts] != [each.message for each in later.verdicts]
    assert (later.digest, later.overridable) == (shown.digest, shown.overridable)
