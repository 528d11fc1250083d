"""What happens while nobody decides: time runs out, or something worse begins and decides it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.flow.harness import QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.shared import run_story

pytestmark = pytest.mark.slow


def expiry(here: Stage) -> datetime:
    """Until when the question waits for an answer."""
    return datetime.fromisoformat(here.status()["ask"]["expiresAt"])


def test_nobody_decides_in_time(tmp_path: Path) -> None:
    async def story() -> None:
        patience = {"alerts": {"very-slow": {"decide_within": "3m"}}}
        async with stage(tmp_path, SHORT, patience, **QUICK) as here:
            await asked(here)
            ask = here.status()["ask"]
            await here.phase("Closed", timedelta(minutes=4))
            status = here.status()
            assert status["outcome"] == "Expired"
            asked_at = datetime.fromisoformat(ask["askedAt"])
            assert timedelta(minutes=3) <= here.at("closedAt") - asked_at <= timedelta(minutes=4)
            assert status["page"]["reason"] == "NobodyDecided"
            await here.rest(timedelta(seconds=5))
            assert here.offers() == []
            page = here.page()
            assert page is not None
            assert page.state == "triggered"
            assert "Nobody decided" in page.summary
            await here.rest(timedelta(minutes=3))
            assert here.writes() == []
            assert len(here.incidents()) == 1, here.summary()

    run_story(story())


def test_it_runs_out_in_time_however_seldom_it_is_looked_at(tmp_path: Path) -> None:
    async def story() -> None:
        patience = {"alerts": {"very-slow": {"decide_within": "3m"}}}
        seldom = {"decide_every": timedelta(minutes=20)}
        async with stage(tmp_path, SHORT, patience, settings=seldom, **QUICK) as here:
            await asked(here)
            until = expiry(here)
            await here.phase("Closed", timedelta(minutes=4))
            assert here.status()["outcome"] == "Expired"
            assert timedelta() <= here.at("closedAt") - until < timedelta(seconds=6)

    run_story(story())


def test_the_rule_may_want_an_undo_then(tmp_path: Path) -> None:
    async def story() -> None:
        patience = {"alerts": {"very-slow": {"decide_within": "2m", "on_expiry": "rollback"}}}
        async with stage(tmp_path, SHORT, patience, **QUICK) as here:
            await asked(here)
            asked_at = datetime.fromisoformat(here.status()["ask"]["askedAt"])
            await here.phase("Settling", timedelta(minutes=6))
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)
            assert here.at("patchedAt") - asked_at >= timedelta(minutes=2)
            assert here.world.version == "v1"
            assert len(here.undos()) == 1

    run_story(story())


def test_a_silence_until_then_is_a_word_against_it(tmp_path: Path) -> None:
    async def story() -> None:
        patience = {"alerts": {"very-slow": {"decide_within": "2m", "on_expiry": "rollback"}}}
        async with stage(tmp_path, SHORT, patience, **QUICK) as here:
            await asked(here)
            await here.until(
                lambda: here.world.clock.now() >= expiry(here) - timedelta(seconds=30),
                timedelta(minutes=3),
                "nearly over",
            )
            here.silence()
            status = await here.phase("Closed", timedelta(minutes=2))
            assert (status["outcome"], status["reason"]) == ("Expired", "NoAlertFires")
            assert here.writes() == []

    run_story(story())


def test_who_silences_and_decides_has_decided(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            here.silence()
            assert (await here.click(ROLL_BACK)).taken
            await here.phase("Settling", timedelta(minutes=6))
            assert here.world.version == "v1"

    run_story(story())


def test_a_stronger_rule_decides_meanwhile(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            here.degrade("v2", latency_p95="9s", error_rate=0.06)
            await here.phase("Settling", timedelta(minutes=6))
            status = here.status()
            assert (status["outcome"], status["rollback"]["automatic"]) == ("RolledBack", True)
            assert status["rule"] == "payment-service/high-error-rate"
            assert here.world.version == "v1"
            assert len(here.undos()) == 1
            await here.phase("Closed", timedelta(minutes=8))
            page = here.page()
            assert page is not None
            assert (page.pages, page.state) == (1, "resolved")
            assert len(here.incidents()) == 1, here.summary()

    run_story(story())
