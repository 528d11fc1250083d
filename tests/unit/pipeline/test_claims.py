"""What the recovery proof compares with: the target's own last time of service before the bad revision."""

from __future__ import annotations

from datetime import datetime

import pytest

from responder.pipeline.claims import claim_recovery
from responder.workloads.ledger import Serving
from tests.unit.actions.build import rollback
from tests.unit.rules.build import ERRORS, FILE, HOUR, MINUTE, NOW, V1_FROM, ledger, reference, serving

BAD_FROM, UNDONE_AT = NOW - 15 * MINUTE, NOW - 3 * MINUTE
BAD, BACK = serving("v3", BAD_FROM, NOW), serving("v1", UNDONE_AT)
V0_FROM, V1_AGAIN = BAD_FROM - HOUR, BAD_FROM - 20 * MINUTE


@pytest.mark.parametrize(
    ("servings", "since"),
    [
        ((serving("v1", V1_FROM, BAD_FROM), BAD, BACK), V1_FROM),
        # v2 served in between and was rolled back: what it did is not the target's.
        (
            (
                serving("v1", V1_FROM, V0_FROM),
                serving("v2", V0_FROM, V1_AGAIN),
                serving("v1", V1_AGAIN),
                BAD,
                BACK,
            ),
            V1_AGAIN,
        ),
        # Its pods were all away for a moment, and nothing took over.
        ((serving("v1", V1_FROM, V0_FROM), serving("v1", V0_FROM + MINUTE, BAD_FROM), BAD, BACK), V1_FROM),
        ((BAD, BACK), None),
    ],
)
def test_the_history_begins_where_the_target_last_began(
    servings: tuple[Serving, ...], since: datetime | None
) -> None:
    undone = rollback(bad=reference("v3"), target=reference("v1"), intended_at=UNDONE_AT)
    claim = claim_recovery((ERRORS,), undone, FILE, ledger(*servings), NOW)
    assert (claim.healthy_from, claim.healthy_until) == (since, BAD_FROM)
