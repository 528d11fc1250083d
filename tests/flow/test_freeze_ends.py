"""Freezes that end by themselves, in all three places: over is none, unreadable is a freeze."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from responder.sandbox.world import HOME
from responder.workloads.freeze import FreezeMark, write_freeze
from responder.workloads.views import FREEZE
from tests.flow.harness import NAMESPACES, QUICK, SHORT, START, Stage, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
WARM_UP = 3 * MINUTE


def freeze_everywhere(here: Stage, value: str) -> None:
    here.annotate_workload(FREEZE, value)
    for namespace in (here.world.namespace, HOME):
        here.annotate(NAMESPACES, "", namespace, FREEZE, value)


def test_freezes_that_are_over_stop_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            freeze_everywhere(here, write_freeze(FreezeMark("audit", START + MINUTE)))
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await here.phase("Settling", 6 * MINUTE)
            assert here.status()["outcome"] == "RolledBack"
            assert here.status()["rollback"]["automatic"] is True

    run_story(story())


def test_a_freeze_holds_up_to_its_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            until = START + 8 * MINUTE
            here.annotate(NAMESPACES, "", HOME, FREEZE, write_freeze(FreezeMark("audit", until)))
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await here.reason("Frozen", 4 * MINUTE)
            assert "until 2026-03-02T09:08:00Z: audit" in here.status()["message"]
            await here.rest(until - here.world.clock.now() - timedelta(seconds=2))
            assert here.doubts() == {"NotFrozen/Frozen"}
            await here.rest(timedelta(seconds=20))
            assert here.doubts() == set()
            # Asked is asked: its end does not take the question back.
            assert here.status()["phase"] == "AwaitingDecision"
            assert here.undos() == []

    run_story(story())


def test_an_end_that_can_not_be_read_is_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            here.annotate_workload(FREEZE, "until 2001-01-01: no time of day")
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await here.reason("Frozen", 4 * MINUTE)
            assert here.undos() == []

    run_story(story())
