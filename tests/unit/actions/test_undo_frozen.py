"""A freeze mark with an end on the workload, at the last look before the patch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from responder.actions.rollback import Applied, Refused
from responder.workloads.freeze import FreezeMark, write_freeze
from responder.workloads.views import FENCE, FREEZE
from tests.unit.actions.undoing import START, Scene, play

LONG_OVER = write_freeze(FreezeMark("audit", START - timedelta(hours=1)))
STILL_ON = write_freeze(FreezeMark("audit", START + timedelta(days=1)))


def mark(scene: Scene, value: str) -> None:
    scene.edit(lambda it: it["metadata"].setdefault("annotations", {}).update({FREEZE: value}))


def test_a_freeze_that_is_over_is_none_and_stays_where_it_is(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        mark(scene, LONG_OVER)
        assert isinstance(await scene.undo(scene.attempt()), Applied)
        assert scene.deployment()["metadata"]["annotations"][FREEZE] == LONG_OVER

    play(tmp_path, story)


def test_a_freeze_that_is_not_over_refuses(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        mark(scene, STILL_ON)
        result = await scene.undo(scene.attempt())
        assert isinstance(result, Refused)
        assert result.reason == "Frozen"

    play(tmp_path, story)


def test_one_that_can_not_be_read_refuses(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        mark(scene, "until 2001-01-01: audit")
        result = await scene.undo(scene.attempt())
        assert isinstance(result, Refused)
        assert result.reason == "Frozen"

    play(tmp_path, story)


def test_a_new_freeze_in_the_place_of_the_one_that_is_over_refuses(tmp_path: Path) -> None:
    """Written between the look and the patch: only the patch's own test can tell."""

    async def story(scene: Scene) -> None:
        mark(scene, LONG_OVER)
        result = await scene.undo(scene.attempt(), lambda: mark(scene, STILL_ON))
        assert isinstance(result, Refused)
        assert result.reason == "Frozen"

    play(tmp_path, story)


def test_a_freeze_that_is_over_is_no_explanation(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        mark(scene, LONG_OVER)
        attempt = scene.attempt()
        scene.edit(lambda it: it["metadata"]["labels"].update({FENCE: "other.1"}))
        result = await scene.undo(attempt)
        assert isinstance(result, Refused)
        assert result.reason == "FencedByAnother"

    play(tmp_path, story)
