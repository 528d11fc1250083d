"""The names that are made of a workload's."""

from __future__ import annotations

import pytest

from responder.incidents.decision import decision_name
from responder.workloads.key import WorkloadKey


@pytest.mark.parametrize("length", [1, 217, 218, 219, 240, 253])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_every_name_made_of_it_fits(kind: str, length: int) -> None:
    incident = WorkloadKey("payments", kind, "x" * length).incident_name(10**12 - 1)
    assert len(decision_name(incident, "0123456789")) <= 253


def test_long_names_stay_apart() -> None:
    keys = {WorkloadKey("payments", "Deployment", "x" * 250 + last).record_name for last in "ab"}
    assert len(keys) == 2
