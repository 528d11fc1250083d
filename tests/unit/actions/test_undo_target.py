"""To which revision an undo goes, on histories that the simulated controllers made: by service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from responder.sandbox.api.store import Event
from responder.sandbox.cluster import DEPLOYMENTS
from responder.workloads.ledger import KnownBad, Ledger, parse_revision
from responder.workloads.observe import observe
from responder.workloads.target import Target, select_target
from tests.unit.actions.undoing import NAME, NAMESPACE, NEVER_READY, REPLICASETS, Scene, play, version_of

READY = {"sandbox.responder.dev/never-ready": "false"}

Way = Callable[["Watched"], Awaitable[None]]


class Watched:
    """A scene whose ledger is kept as the responder keeps it: by every change of the ReplicaSets."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.ledger = Ledger(watched_from=scene.cluster.clock.now())
        self._look(continuous=False)

    def observe(self, event: Event) -> None:
        if event.resource.key in (DEPLOYMENTS, REPLICASETS):
            self._look(continuous=True)

    def _look(self, *, continuous: bool) -> None:
        now = self.scene.cluster.clock.now()
        servings = observe(self.ledger, self.scene.history(), now, continuous=continuous)
        self.ledger = self.ledger.model_copy(update={"servings": servings})

    async def release(self, version: str) -> None:
        """A release that becomes ready and serves for a while."""
        await self.scene.release(version, **READY)
        await self.scene.cluster.clock.sleep(60)

    async def release_stuck(self, version: str) -> None:
        """A release whose pods never become ready."""
        self.scene.release_at_once(version, **NEVER_READY)
        await self.scene.cluster.clock.sleep(60)

    async def undo(self, bad: str, target: str) -> None:
        """Roll a version back, which makes it known bad."""
        revision = self.scene.history().by_uid(self.scene.uid(bad))
        assert revision is not None
        attempt = self.scene.attempt(bad, target, fence=f"{bad}.1")
        await self.scene.undo(attempt)
        await self.scene.cluster.rollout_complete(NAMESPACE, NAME)
        known = KnownBad(revision=parse_revision(revision), incident="i", at=self.scene.cluster.clock.now())
        self.ledger = self.ledger.model_copy(update={"known_bad": (*self.ledger.known_bad, known)})

    def target(self) -> Target | None:
        history = self.scene.history()
        assert history.current is not None
        return select_target(history, self.ledger, history.current)


async def one_release(watched: Watched) -> None:
    """v1 only."""


async def good_good_bad(watched: Watched) -> None:
    await watched.release("v2")
    await watched.release("v3")


async def stuck_then_bad(watched: Watched) -> None:
    await watched.release_stuck("v2")
    await watched.release("v3")


async def stuck(watched: Watched) -> None:
    await watched.release_stuck("v2")


async def undone(watched: Watched) -> None:
    await watched.release("v2")
    await watched.undo("v2", "v1")


async def undone_then_released_again_then_bad(watched: Watched) -> None:
    await undone(watched)
    await watched.release("v2")
    await watched.release("v3")


async def undone_then_bad(watched: Watched) -> None:
    await undone(watched)
    await watched.release("v3")


async def back_by_hand_then_bad(watched: Watched) -> None:
    """v1, v2, v1 again by its own manifest (the same ReplicaSet, reused), then v3."""
    await watched.release("v2")
    watched.scene.edit(lambda it: it["spec"].update(template=FIRST_TEMPLATE))
    await watched.scene.cluster.rollout_complete(NAMESPACE, NAME)
    await watched.release("v3")


async def history_lost(watched: Watched) -> None:
    """With a history limit of zero, the controller deletes what could be gone back to."""
    watched.scene.edit(lambda it: it["spec"].update(revisionHistoryLimit=0))
    await watched.release("v2")


FIRST_TEMPLATE = {
    "metadata": {"labels": {"app": NAME}},
    "spec": {
        "containers": [
            {
                "name": NAME,
                "image": "app:v1",
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            }
        ]
    },
}


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (one_release, None),
        (good_good_bad, "v2"),
        (stuck, "v1"),
        (stuck_then_bad, "v1"),
        (undone, None),
        (undone_then_bad, "v1"),
        (undone_then_released_again_then_bad, "v1"),
        (back_by_hand_then_bad, "v1"),
        (history_lost, None),
    ],
)
def test_the_target_is_what_served_before(tmp_path: Path, way: Way, expected: str | None) -> None:
    async def story(scene: Scene) -> None:
        watched = Watched(scene)
        unsubscribe = scene.cluster.store.subscribe(watched.observe)
        try:
            await way(watched)
        finally:
            unsubscribe()
        target = watched.target()
        found = None if target is None else version_of(target.revision.raw)
        assert found == expected
        # Why somebody released again what was undone as bad, nobody knows.
        assert target is None or target.certain is (way is not undone_then_released_again_then_bad)

    play(tmp_path, story, "v1")


def test_of_two_replicasets_with_one_template_the_older_is_chosen(tmp_path: Path) -> None:
    """The controller would take that one, so a newer twin is never the target, whatever its number."""

    async def story(scene: Scene) -> None:
        watched = Watched(scene)
        original = scene.uid("v1")
        twin = next(rs for rs in scene.replicasets() if version_of(rs) == "v1")
        twin["metadata"] |= {"name": f"{NAME}-twin", "uid": ""}
        twin["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "9"
        twin["spec"]["replicas"] = 0
        scene.cluster.store.create(REPLICASETS, twin, manager="somebody")
        target = watched.target()
        assert target is not None
        assert target.revision.uid == original

    play(tmp_path, story)
