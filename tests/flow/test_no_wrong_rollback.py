"""No wrong rollback: each situation has its own cause and reason, and ends without a write."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.world import HOME
from tests.flow.conftest import TABLE_SITUATIONS, Row
from tests.flow.harness import INCIDENTS, QUICK, SHORT, Stage, stage
from tests.flow.situations import (
    BRISK,
    MINUTE,
    SECOND,
    WARM_UP,
    Situation,
    run_situation,
    send,
    written,
)
from tests.flow.situations_cluster import CLUSTER
from tests.flow.situations_measured import MEASURED, scaled_by_its_errors
from tests.flow.situations_people import PEOPLE
from tests.shared import run_story

pytestmark = pytest.mark.slow

SITUATIONS = (*MEASURED, *CLUSTER, *PEOPLE)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.reason)
def test_it_is_not_rolled_back(situation: Situation, tmp_path: Path, row: Row) -> None:
    run_situation(situation, tmp_path)
    row(TABLE_SITUATIONS, situation.name, situation.reason)


def test_an_alert_of_another_workload_that_shares_labels(tmp_path: Path) -> None:
    """It carries the rule's label and the application's, but names another workload: it is nobody's."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, BRISK, **QUICK) as here:
            await here.rest(WARM_UP)
            here.world.release("v2")
            await here.rest(30 * SECOND)
            await send(
                here,
                alertname="CheckoutErrors",
                namespace=here.world.namespace,
                deployment="checkout",
                app="payment-service",
                responder_rule="payment-service/high-error-rate",
            )
            await here.rest(MINUTE)
            (incident,) = here.world.cluster.store.list(INCIDENTS, HOME)
            assert incident["status"]["reason"] == "NoRule"
            assert "No rule file speaks of these alerts (CheckoutErrors)" in incident["status"]["message"]
            assert here.incidents() == []
            assert written(here) == []

    run_story(story())


def test_each_situation_has_a_reason_of_its_own() -> None:
    reasons = [each.reason for each in SITUATIONS]
    assert sorted(reasons) == sorted(set(reasons))


def test_an_autoscaler_at_its_maximum_because_of_the_bad_revision_is_no_reason_not_to(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, BRISK, **QUICK) as here:
            await here.rest(WARM_UP)
            await scaled_by_its_errors(here)
            await rolled_back(here)
            assert here.world.deployment()["spec"]["replicas"] == 6

    run_story(story())


async def rolled_back(here: Stage) -> None:
    await here.phase("Settling", 8 * MINUTE)
    status = here.status()
    assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)
    assert here.world.version == "v1"
    await here.rest(timedelta(seconds=5))
