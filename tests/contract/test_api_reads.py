"""Reading: objects, lists in pages, selectors, watches from a version on, and versions that are too old."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, cast

import pytest

from responder.clients.kubernetes import Expired, NotFound, Object, WatchEvent
from tests.contract.conftest import Tell
from tests.contract.subject import CLUSTER, Subject

WITHIN_SECONDS = 20


def config_maps(subject: Subject) -> str:
    return f"/api/v1/namespaces/{subject.namespace}/configmaps"


def config_map(name: str, **labels: str) -> Object:
    metadata = {"name": name, "labels": {"contract": "yes", **labels}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": "value"}}


async def events(
    subject: Subject, path: str, version: str, count: int, selector: str = ""
) -> list[WatchEvent]:
    """The first events after a version, bookmarks left out."""
    found: list[WatchEvent] = []
    stream = subject.api.watch(path, resource_version=version, label_selector=selector)
    async with asyncio.timeout(WITHIN_SECONDS), aclosing(cast("Any", stream)):
        async for event in stream:
            if event.type != "BOOKMARK":
                found.append(event)
            if len(found) == count:
                return found
    return found


def names(items: list[Object]) -> list[str]:
    return sorted(item["metadata"]["name"] for item in items)


def test_what_is_not_there_is_named_and_a_missing_resource_is_told_apart(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        with pytest.raises(NotFound) as missing:
            await subject.api.get(subject.path)
        assert not missing.value.resource_missing
        with pytest.raises(NotFound) as unknown:
            await subject.api.get(f"/apis/responder.dev/v1alpha1/namespaces/{subject.namespace}/nothings/one")
        assert unknown.value.resource_missing

    tell(story)


def test_a_list_is_whole_in_pages_of_any_size(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        made = [f"c{number}" for number in range(5)]
        for name in made:
            await subject.api.create(config_maps(subject), config_map(name))
        listed = await subject.api.list(config_maps(subject), label_selector="contract=yes", limit=2)
        assert names(listed.items) == made
        assert {(item["kind"], item["apiVersion"]) for item in listed.items} == {("ConfigMap", "v1")}
        assert listed.resource_version.isdecimal()

    tell(story)


def test_selectors_choose_by_labels_and_name(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        path = config_maps(subject)
        for name, tier in (("a", "front"), ("b", "back"), ("c", "back")):
            await subject.api.create(path, config_map(name, tier=tier))
        assert names((await subject.api.list(path, label_selector="tier=back")).items) == ["b", "c"]
        assert names((await subject.api.list(path, label_selector="tier in (front)")).items) == ["a"]
        chosen = await subject.api.list(path, field_selector="metadata.name=b")
        assert names(chosen.items) == ["b"]

    tell(story)


def test_a_watch_goes_on_exactly_where_the_list_ended(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        path = config_maps(subject)
        await subject.api.create(path, config_map("before"))
        version = (await subject.api.list(path)).resource_version
        made = await subject.api.create(path, config_map("after"))
        await subject.api.merge_patch(f"{path}/after", {"data": {"key": "other"}})
        await subject.api.delete(f"{path}/after", uid=made["metadata"]["uid"])
        seen = await events(subject, path, version, 3, "contract=yes")
        assert [(event.type, event.object["metadata"]["name"]) for event in seen] == [
            ("ADDED", "after"),
            ("MODIFIED", "after"),
            ("DELETED", "after"),
        ]
        versions = [int(event.object["metadata"]["resourceVersion"]) for event in seen]
        assert versions == sorted(set(versions))
        assert versions[0] == int(made["metadata"]["resourceVersion"])

    tell(story)


def test_what_leaves_the_selector_is_deleted_for_the_watcher(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        path = config_maps(subject)
        made = await subject.api.create(path, config_map("one", tier="back"))
        await subject.api.merge_patch(f"{path}/one", {"metadata": {"labels": {"tier": None}}})
        seen = await events(subject, path, made["metadata"]["resourceVersion"], 1, "tier=back")
        assert [event.type for event in seen] == ["DELETED"]

    tell(story)


def test_a_watch_that_is_too_old_is_told_so(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await subject.api.create(config_maps(subject), config_map("one"))
        forgotten = subject.forget_history()
        try:
            await events(subject, config_maps(subject), "1", 1)
        except Expired:
            return
        assert not forgotten, "a watch from before the server's history went on"
        subject.leave_out("watches that are too old: this server remembers everything since its start")

    tell(story)


def test_a_quiet_watch_is_kept_going_by_bookmarks(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        path = config_maps(subject)
        made = await subject.api.create(path, config_map("one"))
        version = made["metadata"]["resourceVersion"]
        stream = subject.api.watch(path, resource_version=version, label_selector="contract=no")
        async with aclosing(cast("Any", stream)):
            # The server ends each watch after half a minute; before that it says how far it has come.
            seen = [event async for event in stream]
        if not seen:
            assert subject.name == CLUSTER, "the sandbox sends one before each watch's end"
            subject.leave_out("bookmarks: the server sent none within half a minute, which it may")
        assert {event.type for event in seen} <= {"BOOKMARK"}
        assert all(int(e.object["metadata"]["resourceVersion"]) >= int(version) for e in seen)

    tell(story)
