"""Every guard of the checklist has a story in which it fails, one in which it can't tell, and one it passes.

The stories of failing and not telling are the situations of test_no_wrong_rollback.py; here stands what is
missing there, and the one in which everything passes with something to look at. A new guard without stories
fails here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from responder.rules.guards.checklist import GUARDS
from responder.sandbox.gitops import ARGO_CD
from responder.verdicts import Result
from tests.flow.harness import QUICK, SHORT, Stage, stage
from tests.flow.situations import (
    BRISK,
    MINUTE,
    SECOND,
    WARM_UP,
    Situation,
    alerted,
    bad_release,
    furnish_gateway,
    run_situation,
)
from tests.flow.situations_cluster import first_revision, needs_configuration
from tests.flow.situations_measured import GATEWAY, prometheus
from tests.flow.situations_people import managed_by_argo
from tests.flow.test_no_wrong_rollback import SITUATIONS
from tests.flow.test_owners import grant
from tests.shared import run_story

FAILED, UNKNOWN, PASSED = "Failed", "Unknown", "Passed"

# What can't be, and why.
NEVER = {
    ("not_paused", UNKNOWN): "the workload itself says whether it is paused",
    ("not_protected", UNKNOWN): "settings and the namespace's name say it",
    ("not_again", UNKNOWN): "the record says it, and without the record nothing is judged",
    ("not_frozen", UNKNOWN): "without the namespaces' marks nothing is judged",
}


async def nothing_seen(here: Stage) -> None:
    """Nothing was scraped before the release: neither ledger nor Prometheus knows the target's health."""
    prometheus(here).scraping = False


async def seen_from_now_on(here: Stage) -> None:
    here.world.release("v2", error_rate=0.3)
    await here.rest(5 * SECOND)
    prometheus(here).scraping = True


MORE = (
    Situation(
        "the target's health was never seen",
        "TargetHealthUnknown",
        "has no value for",
        seen_from_now_on,
        guard="target_was_good",
        result=UNKNOWN,
        before=nothing_seen,
        leads=False,
    ),
    Situation(
        "without a target nobody knows what it needs",
        "TargetUnknown",
        "is not known",
        first_revision,
        guard="configuration_exists",
        result=UNKNOWN,
        leads=False,
    ),
)

# Of one story in which every guard has something to look at: the reason with which each passes.
PASSING = {
    "workload_exists": "WorkloadFound",
    "target_exists": "TargetFound",
    "not_paused": "NotPaused",
    "not_protected": "NotProtected",
    "still_true": "ConditionTrue",
    "inside_window": "InsideRollbackWindow",
    "caused_by_rollout": "OnsetAfterRollout",
    "new_pods_worse": "NewPodsWorse",
    "not_one_node": "SeveralNodes",
    "dependencies_good": "DependenciesGood",
    "target_was_good": "TargetSeenHealthy",
    "not_again": "FirstInCooldown",
    "not_frozen": "NotFrozen",
    "reversible": "Reversible",
    "configuration_exists": "ConfigurationExists",
    "dry_run_admitted": "DryRunAdmitted",
    "owner_allows": "OwnerWillBePaused",
    "no_storm": "NoStorm",
}


def case(situation: Situation) -> Any:
    return pytest.param(situation, id=situation.reason, marks=pytest.mark.slow)


def test_every_guard_has_a_story_for_each_result() -> None:
    told = {(each.guard, each.result) for each in (*SITUATIONS, *MORE) if each.guard}
    told |= {(guard, PASSED) for guard in PASSING}
    assert not told & NEVER.keys()
    names = [guard.__name__ for guard in GUARDS]
    wanted = {(name, result.value) for name in names for result in Result} - NEVER.keys()
    assert sorted(wanted - told) == []
    assert sorted({guard for guard, _ in told} - set(names)) == []


@pytest.mark.parametrize("situation", [case(each) for each in MORE])
def test_it_is_not_rolled_back(situation: Situation, tmp_path: Path) -> None:
    run_situation(situation, tmp_path)


def test_every_guard_passes_with_something_to_look_at(tmp_path: Path) -> None:
    async def story() -> None:
        pausing = {"rollback": {"gitops": "pause"}}
        async with stage(tmp_path, SHORT, BRISK, GATEWAY, pausing, alone=False, **QUICK) as here:
            await needs_configuration(here)
            furnish_gateway(here)
            await managed_by_argo(here)
            grant(here, ARGO_CD)
            await here.start()
            await here.rest(WARM_UP)
            await bad_release(here)
            await alerted(here)
            await here.until(here.undos, 5 * MINUTE, "an undo")
            found = [(each["reason"], each["result"]) for each in here.status()["verdicts"]]
            assert found == [(PASSING[guard.__name__], PASSED) for guard in GUARDS]
            await here.phase("Settling", 8 * MINUTE)
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)

    run_story(story())
