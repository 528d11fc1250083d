"""A new bad release two minutes after the rollback is no echo: a new incident asks, a person decides."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.flow.harness import LEAVE, QUICK, ROLL_BACK, SHORT, stage
from tests.shared import run_story


def test_the_next_bad_release_asks_and_goes_back_to_the_good_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.05)
            await here.phase("Settling", timedelta(minutes=6))
            await here.rest(here.at("patchedAt") + timedelta(minutes=2) - here.world.clock.now())
            here.world.release("v3", error_rate=0.08)

            await here.phase("AwaitingDecision", timedelta(minutes=5), sequence=2)
            first, second = here.status(1), here.status(2)
            assert (first["phase"], first["outcome"]) == ("Closed", "RolledBack")
            assert here.at("closedAt") < here.at("settleUntil"), "no echo: the time for those was not over"
            assert "NotAgain/CooldownActive" in here.doubts(2)
            assert second["bad"]["uid"] == here.rs_uid("v3")
            assert second["target"]["uid"] == here.rs_uid("v1")
            await here.rest(timedelta(seconds=10))
            assert here.offers(sequence=2) == [ROLL_BACK, LEAVE]
            page = here.page(2)
            assert page is not None
            assert page.state == "triggered"

            # Nothing happens by itself, however long it takes, inside the cooldown.
            await here.rest(timedelta(minutes=5))
            assert here.world.version == "v3"
            assert len(here.undos()) == 1

            assert (await here.click(ROLL_BACK, sequence=2)).taken
            await here.phase("Settling", timedelta(minutes=5), sequence=2)
            status = here.status(2)
            assert status["outcome"] == "RolledBack", status
            assert status["rollback"]["automatic"] is False
            assert status["rollback"]["by"].startswith("slack:U0ONCALL")
            assert here.world.version == "v1"
            assert len(here.undos()) == 2
            assert set(here.world.oracle.requests_by_revision(since=here.at("trafficProvenAt", 2))) == {
                here.rs_uid("v1")
            }
            known_bad = [bad["revision"]["uid"] for bad in here.record()["spec"]["knownBad"]]
            assert known_bad == [here.rs_uid("v2"), here.rs_uid("v3")]
            await here.phase("Closed", timedelta(minutes=6), sequence=2)
            assert len(here.incidents()) == 2, here.summary()
            assert page.state == "resolved"

    run_story(story())
