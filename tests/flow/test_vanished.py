"""An alert that every Alertmanager is without may be silenced or over: it fires again when it is back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from responder.workloads.views import FREEZE
from tests.flow.harness import LEAVE, QUICK, SHORT, Stage, stage
from tests.flow.test_asked import asked
from tests.flow.test_held import FOREIGN, foreign
from tests.shared import run_story

MINUTE = timedelta(minutes=1)


async def frozen(here: Stage) -> str:
    """Release a bad version under a freeze; returns the fingerprint of its alert."""
    await here.rest(timedelta(minutes=3, seconds=30))
    here.annotate_workload(FREEZE, "audit")
    here.world.release("v2", error_rate=0.3)
    await here.reason("Frozen", 4 * MINUTE)
    incident = here.incident()
    assert incident is not None
    (fingerprint,) = incident["spec"]["alerts"]
    assert here.fires(fingerprint)
    return str(fingerprint)


def test_silenced_and_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            fingerprint = await frozen(here)
            here.silence()
            await here.until(lambda: not here.fires(fingerprint), 4 * MINUTE, "it vanished")
            here.unsilence()
            await here.until(lambda: here.fires(fingerprint), 2 * MINUTE, "it fires again")
            assert len(here.incidents()) == 1, here.summary()

    run_story(story())


def test_an_end_that_nobody_saw_does_not_swallow_the_next_instance(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, FOREIGN, **QUICK) as here:
            await here.rest(timedelta(minutes=3, seconds=30))
            here.annotate_workload(FREEZE, "audit")
            here.world.release("v2", error_rate=0.3)
            await here.rest(timedelta(seconds=40))
            key = foreign(here, lasts=5 * MINUTE)
            await here.phase("AwaitingDecision", 4 * MINUTE)
            await here.rest(timedelta(seconds=20))
            assert (await here.click(LEAVE)).taken
            await here.phase("Closed", MINUTE)
            # Of what is silenced, nobody is told that it ended.
            here.silence()
            here.degrade("v2", error_rate=0.0)
            await here.until(lambda: here.record()["spec"]["held"][key].get("vanishedAt"), 4 * MINUTE, "gone")
            await here.rest(6 * MINUTE)
            here.unsilence()
            assert len(here.incidents()) == 1, here.summary()
            foreign(here, lasts=MINUTE)
            await here.until(lambda: len(here.incidents()) == 2, 2 * MINUTE, "a new instance, a new incident")

    run_story(story())


def test_what_is_held_and_was_silenced_matters_again_to_a_new_revision(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await asked(here)
            assert (await here.click(LEAVE)).taken
            await here.phase("Closed", MINUTE)

            def vanished() -> list[bool]:
                return ["vanishedAt" in entry for entry in here.record()["spec"]["held"].values()]

            here.silence()
            await here.until(lambda: all(vanished()), 4 * MINUTE, "held and gone")
            here.unsilence()
            await here.until(lambda: not any(vanished()), 2 * MINUTE, "held and back")
            assert len(here.incidents()) == 1, here.summary()
            here.world.release("v3", latency_p95="9s")
            await here.until(lambda: len(here.incidents()) == 2, MINUTE, "an incident for what still fires")

    run_story(story())
