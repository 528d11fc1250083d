"""Writing: names taken, conflicts, JSON patches with preconditions, merge patches, what a refusal says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from responder.clients.kubernetes import AlreadyExists, Conflict, Invalid, NotFound, paths
from tests.contract.conftest import Tell
from tests.contract.subject import Subject

Operation = dict[str, Any]

# No pod runs, so that nobody but the story writes much.
IDLE = 0
FENCE = "/metadata/labels/responder.dev~1fence"
FREEZE = "/metadata/annotations/responder.dev~1freeze"


async def idle(subject: Subject) -> dict[str, Any]:
    """A Deployment without pods, at rest."""
    await subject.api.create(paths.deployments(subject.namespace), subject.manifest("v1", IDLE))

    async def settled() -> bool:
        found = await subject.deployment()
        return found.count("observedGeneration") >= found.generation and bool(found.annotations)

    await subject.until(settled, "the first look of the Deployment controller")
    return await subject.api.get(subject.path)


async def refused(subject: Subject, *operations: Operation) -> Invalid:
    with pytest.raises(Invalid) as raised:
        await subject.api.json_patch(subject.path, operations)
    return raised.value


def test_a_name_is_taken_once(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await idle(subject)
        with pytest.raises(AlreadyExists):
            await subject.api.create(paths.deployments(subject.namespace), subject.manifest("v2", IDLE))

    tell(story)


def test_a_version_that_has_passed_is_a_conflict(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        before = await idle(subject)
        version = before["metadata"]["resourceVersion"]
        await subject.api.merge_patch(subject.path, {"metadata": {"labels": {"touched": "1"}}})
        with pytest.raises(Conflict):
            await subject.api.merge_patch(
                subject.path, {"metadata": {"resourceVersion": version, "labels": {"touched": "2"}}}
            )
        assert (await subject.deployment()).labels["touched"] == "1"

    tell(story)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/metadata/uid", "00000000-0000-0000-0000-000000000000"),
        ("/spec/template", {"spec": {}}),
        ("/spec/paused", True),
        (FENCE, "another.1"),
        (FREEZE, "frozen"),
        ("/metadata/resourceVersion", 1),
    ],
)
def test_a_test_that_fails_changes_nothing_and_names_nothing(tell: Tell, path: str, value: object) -> None:
    async def story(subject: Subject) -> None:
        await idle(subject)
        error = await refused(
            subject,
            {"op": "add", "path": FENCE, "value": "incident.1"},
            {"op": "remove", "path": FENCE},
            {"op": "test", "path": path, "value": value},
            {"op": "replace", "path": "/spec/replicas", "value": 7},
        )
        assert error.failed_test
        assert not error.details
        assert (await subject.deployment()).replicas == IDLE

    tell(story)


def test_tests_that_hold_let_the_patch_through(tell: Tell) -> None:
    """The uid, the whole template, and null for what is absent: a pause, a fence, a freeze."""

    async def story(subject: Subject) -> None:
        found = await idle(subject)
        answer = await subject.api.json_patch(
            subject.path,
            [
                {"op": "test", "path": "/metadata/uid", "value": found["metadata"]["uid"]},
                {"op": "test", "path": "/spec/template", "value": found["spec"]["template"]},
                {"op": "test", "path": "/spec/paused", "value": None},
                {"op": "test", "path": FENCE, "value": None},
                {"op": "test", "path": FREEZE, "value": None},
                {"op": "add", "path": FENCE, "value": "incident.1"},
            ],
        )
        assert answer["metadata"]["labels"]["responder.dev/fence"] == "incident.1"
        # A label is no reason for the controllers to look again.
        assert answer["metadata"]["generation"] == found["metadata"]["generation"]

    tell(story)


def test_labels_that_are_absent_altogether_can_be_tested_and_added(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        manifest = subject.manifest("v1", IDLE)
        del manifest["metadata"]["labels"]
        await subject.api.create(paths.deployments(subject.namespace), manifest)
        assert (await refused(subject, {"op": "add", "path": FENCE, "value": "incident.1"})).failed_test
        assert (await refused(subject, {"op": "test", "path": FENCE, "value": None})).failed_test
        answer = await subject.api.json_patch(
            subject.path,
            [
                {"op": "test", "path": "/metadata/labels", "value": None},
                {"op": "add", "path": "/metadata/labels", "value": {"responder.dev/fence": "incident.1"}},
            ],
        )
        assert answer["metadata"]["labels"] == {"responder.dev/fence": "incident.1"}

    tell(story)


def test_replace_adds_what_is_absent_and_remove_does_not_remove_it(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await idle(subject)
        path = "/metadata/annotations/contract~1note"
        assert (await refused(subject, {"op": "remove", "path": path})).failed_test
        answer = await subject.api.json_patch(
            subject.path, [{"op": "replace", "path": path, "value": "added"}]
        )
        assert answer["metadata"]["annotations"]["contract/note"] == "added"

    tell(story)


def test_a_refusal_for_what_the_object_would_be_says_why(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await idle(subject)
        error = await refused(subject, {"op": "replace", "path": "/spec/replicas", "value": -1})
        assert not error.failed_test
        assert error.details["name"] == "payment-service"
        labels = {"app": "does-not-match-the-selector"}
        error = await refused(
            subject, {"op": "replace", "path": "/spec/template/metadata/labels", "value": labels}
        )
        assert not error.failed_test

    tell(story)


@pytest.mark.parametrize(
    "patch", [{}, {"spec": {"replicas": IDLE}}, {"metadata": {"labels": {"nothing": None}}}]
)
def test_a_patch_that_changes_nothing_is_not_written(tell: Tell, patch: dict[str, Any]) -> None:
    async def story(subject: Subject) -> None:
        config = f"/api/v1/namespaces/{subject.namespace}/serviceaccounts"
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "quiet"}}
        made = await subject.api.create(config, account)
        same = {key: value for key, value in patch.items() if key == "metadata"}
        answer = await subject.api.merge_patch(f"{config}/quiet", same)
        assert answer["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        found = await idle(subject)
        answer = await subject.api.merge_patch(subject.path, patch)
        assert answer["metadata"]["generation"] == found["metadata"]["generation"]

    tell(story)


def test_generation_rises_with_spec_and_annotations_but_not_with_labels(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        generation = (await idle(subject))["metadata"]["generation"]
        changes: Sequence[tuple[dict[str, Any], int]] = (
            ({"metadata": {"labels": {"touched": "1"}}}, 0),
            ({"metadata": {"annotations": {"contract/touched": "1"}}}, 1),
            ({"spec": {"minReadySeconds": 1}}, 1),
        )
        for change, rise in changes:
            answer = await subject.api.merge_patch(subject.path, change)
            assert answer["metadata"]["generation"] == generation + rise, change
            generation += rise

    tell(story)


def test_a_deletion_can_be_meant_for_one_object_only(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        uid = (await idle(subject))["metadata"]["uid"]
        with pytest.raises(Conflict):
            await subject.api.delete(subject.path, uid="00000000-0000-0000-0000-000000000000")
        await subject.api.delete(subject.path, uid=uid)

        async def gone() -> bool:
            try:
                await subject.api.get(subject.path)
            except NotFound:
                return True
            return False

        await subject.until(gone, "the deletion")

    tell(story)


def test_a_dry_run_answers_and_changes_nothing(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await idle(subject)
        operation = {"op": "replace", "path": "/spec/replicas", "value": 7}
        answer = await subject.api.json_patch(subject.path, [operation], dry_run=True)
        assert answer["spec"]["replicas"] == 7
        assert (await subject.deployment()).replicas == IDLE

    tell(story)
