"""What still fires after a rollback: its echo, or something new."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from responder.incidents.model import (
    AlertEntry,
    Incident,
    IncidentSpec,
    Metadata,
    Status,
    Times,
    WorkloadRef,
)
from responder.incidents.phases import Phase
from responder.pipeline.settle import Settling, assess_settling
from responder.workloads.ledger import Ledger
from tests.unit.actions.build import rollback
from tests.unit.rules.build import (
    ERRORS,
    MINUTE,
    NOW,
    V1_FROM,
    V2_FROM,
    VERY_SLOW,
    ledger,
    measured,
    measurements,
    reference,
    serving,
)

APPLIED_AT = NOW - 5 * MINUTE
PROVEN_AT = NOW - 2 * MINUTE
UNDONE = (serving("v1", V1_FROM, V2_FROM), serving("v2", V2_FROM, NOW), serving("v1", APPLIED_AT + MINUTE))
# By the clock v0 and v2 began after the undo, and v2 even after its own end.
SET_BACK = (
    serving("v0", APPLIED_AT + MINUTE, APPLIED_AT + 3 * MINUTE),
    serving("v1", V1_FROM, APPLIED_AT + 3 * MINUTE),
    serving("v2", APPLIED_AT + 4 * MINUTE, PROVEN_AT - MINUTE / 2),
    serving("v1", APPLIED_AT + MINUTE),
)
QUIET = measurements(measured(0.0), measured(0.2))
ERRORS_GO_ON = measurements(measured(0.05), measured(0.2))
NO_DATA = measurements(measured(None), measured(None))
LATER = NOW + MINUTE


def incident(settle_until: datetime, *, firing: bool) -> Incident:
    undone = rollback(
        bad=reference("v2"), target=reference("v1"), intended_at=APPLIED_AT, applied_at=APPLIED_AT
    )
    times = Times(traffic_proven_at=PROVEN_AT, settle_until=settle_until)
    alert = AlertEntry(starts_at=V2_FROM, ends_at=None if firing else NOW)
    return Incident(
        metadata=Metadata(
            name="i-1", namespace="payments", uid="u", resource_version="1", creation_timestamp=NOW
        ),
        spec=IncidentSpec(
            workload=WorkloadRef(kind="Deployment", name="app"),
            sequence=1,
            received_at=V2_FROM,
            alerts={"f1": alert},
        ),
        status=Status(phase=Phase.SETTLING, rollback=undone, times=times),
    )


@pytest.mark.parametrize(
    ("servings", "firing", "values", "settle_until", "expected"),
    [
        (UNDONE, True, ERRORS_GO_ON, LATER, Settling.GOES_ON),
        (UNDONE, False, QUIET, LATER, Settling.GOES_ON),
        (UNDONE, False, QUIET, NOW, Settling.OVER),
        # An alert that never resolves is held, as long as the metric is fine.
        (UNDONE, True, QUIET, NOW, Settling.OVER),
        (UNDONE, True, ERRORS_GO_ON, NOW, Settling.FOLLOWED),
        (UNDONE, False, ERRORS_GO_ON, NOW, Settling.FOLLOWED),
        # An alert is over without data as well: that says nothing.
        (UNDONE, False, NO_DATA, NOW, Settling.GOES_ON),
        (UNDONE, False, NO_DATA, NOW - timedelta(minutes=10), Settling.OVER),
        (UNDONE, True, NO_DATA, NOW, Settling.GOES_ON),
        (UNDONE, True, NO_DATA, NOW - timedelta(minutes=10), Settling.FOLLOWED),
        # Another revision began to serve since the undo: the end of all echoes.
        ((*UNDONE, serving("v3", NOW)), True, ERRORS_GO_ON, LATER, Settling.FOLLOWED),
        ((*UNDONE, serving("v3", NOW)), True, QUIET, LATER, Settling.FOLLOWED),
        ((*UNDONE, serving("v3", NOW)), False, QUIET, LATER, Settling.OVER),
        ((*UNDONE, serving("v2", NOW)), True, ERRORS_GO_ON, LATER, Settling.FOLLOWED),
        # What was undone, while it went: its last pods came and went.
        (
            (*UNDONE, serving("v2", PROVEN_AT - MINUTE, PROVEN_AT)),
            True,
            ERRORS_GO_ON,
            LATER,
            Settling.GOES_ON,
        ),
        ((*UNDONE, serving("v3", PROVEN_AT - MINUTE)), True, ERRORS_GO_ON, LATER, Settling.FOLLOWED),
        # The responder's clock was set back before the undo: what was there is none, and stays so.
        (SET_BACK, True, ERRORS_GO_ON, LATER, Settling.GOES_ON),
        (SET_BACK, False, QUIET, LATER, Settling.GOES_ON),
        ((*SET_BACK, serving("v3", NOW)), True, ERRORS_GO_ON, LATER, Settling.FOLLOWED),
        ((*SET_BACK, serving("v2", NOW)), True, ERRORS_GO_ON, LATER, Settling.FOLLOWED),
        # The target itself is none, nor is what served before the undo.
        ((*UNDONE, serving("v1", NOW)), True, ERRORS_GO_ON, LATER, Settling.GOES_ON),
    ],
)
def test_settling(
    servings: Any, firing: bool, values: Any, settle_until: datetime, expected: Settling
) -> None:
    found: Ledger = ledger(*servings)
    verdict = assess_settling(incident(settle_until, firing=firing), (ERRORS, VERY_SLOW), found, values, NOW)
    assert verdict.settling is expected, verdict.message


def test_what_could_not_be_measured_to_the_end_is_not_said_to_be_over() -> None:
    silent = incident(NOW - timedelta(minutes=10), firing=False)
    verdict = assess_settling(silent, (ERRORS,), ledger(*UNDONE), NO_DATA, NOW)
    assert verdict.settling is Settling.OVER
    assert "could not be measured" in verdict.message
    quiet = assess_settling(silent, (ERRORS,), ledger(*UNDONE), QUIET, NOW)
    assert "nothing goes on" in quiet.message
