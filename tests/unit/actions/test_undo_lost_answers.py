"""Undo and voiding when answers get lost, late, or say "later": one undo, whatever is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from responder.actions.put_back import find_put_back
from responder.actions.rollback import Applied, Refused, roll_back, void
from responder.clients.kubernetes import Conflict, TooManyRequests
from responder.errors import Temporary
from responder.sandbox.api.faults import DropAfter, DropBefore, Effect, Hang, Refuse
from responder.workloads.views import FENCE
from tests.unit.actions.undoing import (
    NAME,
    NAMESPACE,
    Scene,
    play,
    recreate,
)


@pytest.mark.parametrize(
    "effect",
    [DropAfter(), Refuse(500, after_effect=True), Refuse(504, after_effect=True), Hang(after_effect=True)],
)
def test_a_lost_answer_is_found_on_the_deployment(tmp_path: Path, effect: Effect) -> None:
    async def story(scene: Scene) -> None:
        scene.strike(effect)
        result = await scene.undo(scene.attempt())
        assert isinstance(result, Applied)
        assert result.generation == scene.deployment()["metadata"]["generation"]
        assert scene.versions == ["v1", "v2", "v1"]

    play(tmp_path, story)


@pytest.mark.parametrize("effect", [DropBefore(), Refuse(500), Refuse(504), Hang()])
def test_a_patch_that_got_lost_is_tried_again(tmp_path: Path, effect: Effect) -> None:
    async def story(scene: Scene) -> None:
        scene.strike(effect)
        attempt = scene.attempt()
        with pytest.raises(Temporary, match="payment-service"):
            await scene.undo(attempt)
        assert scene.versions == ["v1", "v2"]
        assert isinstance(await roll_back(scene.api, attempt), Applied)
        assert scene.versions == ["v1", "v2", "v1"]

    play(tmp_path, story)


def test_a_busy_server_is_asked_again_when_it_says_so(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.strike(Refuse(429, retry_after_seconds=3), count=2)
        before = scene.cluster.clock.now()
        assert isinstance(await scene.undo(scene.attempt()), Applied)
        assert (scene.cluster.clock.now() - before).total_seconds() >= 6
        assert scene.versions == ["v1", "v2", "v1"]

    play(tmp_path, story)


@pytest.mark.parametrize(("effect", "error"), [(Refuse(409), Conflict), (Refuse(429, 60), TooManyRequests)])
def test_what_the_server_puts_off_is_for_the_caller_to_repeat(
    tmp_path: Path, effect: Effect, error: type[Exception]
) -> None:
    async def story(scene: Scene) -> None:
        scene.strike(effect)
        attempt = scene.attempt()
        with pytest.raises(error):
            await scene.undo(attempt)
        assert isinstance(await roll_back(scene.api, attempt), Applied)
        assert scene.versions == ["v1", "v2", "v1"]

    play(tmp_path, story)


def test_a_voided_attempt_can_not_take_effect_any_more(tmp_path: Path) -> None:
    """An old leader's patch may be under way for a minute: its tests must not hold after the voiding."""

    async def story(scene: Scene) -> None:
        attempt, history = scene.attempt(), scene.history()
        assert await void(scene.api, attempt) is None
        assert await void(scene.api, attempt) is None
        late = await roll_back(scene.api, attempt, history)
        assert isinstance(late, Refused)
        assert late.reason == "FencedByAnother"
        assert scene.deployment()["metadata"]["labels"][FENCE] == "incident.1-void"
        following = scene.attempt(fence="incident.2")
        assert isinstance(await scene.undo(following), Applied)
        assert scene.versions == ["v1", "v2", "v1"]

    play(tmp_path, story)


def test_voiding_finds_an_attempt_that_took_effect(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        attempt = scene.attempt()
        await scene.undo(attempt)
        scene.release_at_once("v3")
        assert isinstance(await void(scene.api, attempt), Applied)

    play(tmp_path, story)


@pytest.mark.parametrize("orphan", [False, True])
def test_voiding_leaves_a_deployment_made_anew_alone(tmp_path: Path, orphan: bool) -> None:
    async def story(scene: Scene) -> None:
        attempt = scene.attempt()
        recreate(scene, orphan=orphan)
        assert await void(scene.api, attempt) is None
        assert FENCE not in scene.deployment()["metadata"]["labels"]

    play(tmp_path, story)


@pytest.mark.parametrize("effect", [DropAfter(), DropBefore(), Refuse(500), Hang()])
def test_a_voiding_without_an_answer_is_repeated(tmp_path: Path, effect: Effect) -> None:
    async def story(scene: Scene) -> None:
        scene.strike(effect)
        attempt = scene.attempt()
        with pytest.raises(Temporary):
            await void(scene.api, attempt)
        assert await void(scene.api, attempt) is None
        assert scene.deployment()["metadata"]["labels"][FENCE] == "incident.1-void"

    play(tmp_path, story)


def replaced(scene: Scene, template: dict[str, Any]) -> None:
    """Somebody brings an older manifest back whole, which has no fence."""

    def replace(found: dict[str, Any]) -> None:
        found["metadata"]["labels"].pop(FENCE, None)
        found["spec"]["template"] = template

    scene.edit(replace)


def scaled(scene: Scene) -> None:
    scene.edit(lambda found: found["spec"].update(replicas=found["spec"]["replicas"] + 1))


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "rolled out in between"])
def test_an_undo_that_was_put_back_before_it_was_recorded_is_not_sent_again(
    tmp_path: Path, at_once: bool
) -> None:
    async def story(scene: Scene) -> None:
        bad = scene.deployment()["spec"]["template"]
        await scene.cluster.clock.sleep(600)
        attempt = scene.attempt()
        await scene.undo(attempt)
        if not at_once:
            await scene.cluster.rollout_complete(NAMESPACE, NAME)
        replaced(scene, bad)
        if not at_once:
            await scene.cluster.rollout_complete(NAMESPACE, NAME)
        refused = find_put_back(scene.history(), attempt)
        assert refused is not None
        assert refused.reason == "RevertedByAnother"
        assert "somebody" in refused.message

    play(tmp_path, story)


def test_who_only_scales_meanwhile_puts_nothing_back(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.cluster.clock.sleep(600)
        attempt = scene.attempt()
        scaled(scene)
        scaled(scene)
        assert find_put_back(scene.history(), attempt) is None
        assert isinstance(await roll_back(scene.api, attempt), Applied)
        scaled(scene)
        assert find_put_back(scene.history(), attempt) is None

    play(tmp_path, story)
