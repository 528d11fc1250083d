"""A target that nobody saw serve: Prometheus may have, where its pods can be told from others."""

from __future__ import annotations

from typing import Any

import pytest

from responder.rules.guards.existence import target_exists
from responder.verdicts import Result
from responder.workloads.target import Target
from tests.unit.rules.build import apart, facts, history, measured, measurements

V1 = history().by_uid("uid-v1")
assert V1 is not None
UNSEEN = Target(V1, certain=False, unseen=True)
FEW = measurements(measured(0.0, samples=3.0), measured(0.2, samples=3.0))
NONE = measurements(measured(None, samples=None), measured(None, samples=None))


@pytest.mark.parametrize(
    ("changes", "result", "reason"),
    [
        ({"target": UNSEEN}, Result.PASSED, "TargetMeasured"),
        # What the metric says of the time before may be another revision's.
        ({"target": UNSEEN, "apart": apart(measured(None))}, Result.UNKNOWN, "HistoryUncertain"),
        ({"target": UNSEEN, "apart": {}}, Result.UNKNOWN, "HistoryUncertain"),
        ({"target": UNSEEN, "before": FEW}, Result.UNKNOWN, "HistoryUncertain"),
        ({"target": UNSEEN, "before": NONE}, Result.UNKNOWN, "HistoryUncertain"),
        ({"target": UNSEEN, "before": {}}, Result.UNKNOWN, "HistoryUncertain"),
        # That it served does not say that it served last.
        ({"target": Target(V1, certain=False)}, Result.UNKNOWN, "HistoryUncertain"),
    ],
)
def test_unseen_but_measured(changes: dict[str, Any], result: Result, reason: str) -> None:
    verdict = target_exists(facts(**changes))
    assert (verdict.result, verdict.reason) == (result, reason), verdict.message
