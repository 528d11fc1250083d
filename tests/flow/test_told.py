"""A rule that only tells: Slack with a way to decide, no page, nothing touched unless a person says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.flow.harness import LEAVE, QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.shared import run_story


async def told(here: Stage) -> None:
    """Release a slow version and wait until people were told of it."""
    await here.rest(timedelta(minutes=4))
    here.world.release("v2", latency_p95="4s")
    await here.reason("ToldOnly", timedelta(minutes=5))
    await here.rest(timedelta(seconds=5))
    assert here.status()["phase"] == "Open"
    assert here.status()["rule"] == "payment-service/slow"
    assert here.offers() == [ROLL_BACK, LEAVE]
    assert here.world.pagerduty.alerts == {}
    assert here.writes() == []


def test_told_until_it_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await told(here)
            await here.rest(timedelta(minutes=4))
            assert here.status()["phase"] == "Open"
            here.world.release("v3")
            await here.phase("Closed", timedelta(minutes=5))
            assert here.status()["outcome"] == "Told"
            await here.rest(timedelta(seconds=5))
            assert here.offers() == []
            assert here.world.version == "v3"
            assert here.writes() == []
            assert here.world.pagerduty.alerts == {}
            assert len(here.world.slack.messages) == 1

    run_story(story())


def test_a_click_on_roll_back_rolls_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await told(here)
            assert (await here.click(ROLL_BACK)).taken
            await here.phase("Settling", timedelta(minutes=5))
            status = here.status()
            assert status["outcome"] == "RolledBack", status
            assert status["rollback"]["automatic"] is False
            assert status["rollback"]["by"] == "slack:U0ONCALL (oncall)"
            assert here.world.version == "v1"
            assert len(here.undos()) == 1
            assert set(here.world.oracle.requests_by_revision(since=here.at("trafficProvenAt"))) == {
                here.rs_uid("v1")
            }
            await here.phase("Closed", timedelta(minutes=6))
            assert len(here.incidents()) == 1, here.summary()
            assert here.world.pagerduty.alerts == {}

    run_story(story())


def test_left_alone_means_every_rollback_of_it_asks(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await told(here)
            assert (await here.click(LEAVE)).taken
            await here.phase("Closed", timedelta(seconds=30))
            assert here.status()["outcome"] == "Declined"
            (left,) = here.record()["spec"]["leftAlone"]
            assert left["uid"] == here.rs_uid("v2")

            # The same revision begins to fail: no new release, so everything else would allow the undo.
            here.degrade("v2", error_rate=0.06)
            await here.phase("AwaitingDecision", timedelta(minutes=4), sequence=2)
            assert "NotAgain/LeftAlone" in here.doubts(2)
            await here.rest(timedelta(minutes=1))
            assert here.world.version == "v2"
            assert here.undos() == []
            page = here.page(2)
            assert page is not None
            assert "leave this revision alone" in page.summary

            assert (await here.click(ROLL_BACK, sequence=2)).taken
            await here.phase("Settling", timedelta(minutes=5), sequence=2)
            assert here.status(2)["outcome"] == "RolledBack"
            assert here.world.version == "v1"

    run_story(story())
