"""What a thousand incidents and workloads would have many times over is in memory once."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from responder.clients.kubernetes.model import Listed, ObjectList, WatchEvent
from responder.clients.kubernetes.watching import observe
from responder.incidents.model import Status
from responder.pipeline.watch import _kept
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import alongside
from tests.property.deliveries import Instance, Tale
from tests.property.desk import KEY, alert_of, desk
from tests.shared import run_story

FIRST = Instance("HighErrorRate", 1, (0.0, 0.0), None)


def test_word_of_an_incident_that_says_the_same_brings_no_second_copy_of_its_alerts(tmp_path: Path) -> None:
    async def story() -> None:
        async with desk(Tale((FIRST,), (), None, (), (), 0), tmp_path) as here:
            replica = here.replicas[0]
            await replica.intake.take([alert_of(FIRST, 0, firing=True)])
            (known,) = replica.incidents.incidents()
            incident = await here.leader.get(KEY.namespace, KEY.incident_name(1))
            await here.leader.record(incident, incident.status.model_copy(update={"message": "looked"}))
            await here.clock.sleep(1)
            (now,) = replica.incidents.incidents()
            assert now.status.message == "looked"
            assert now.spec is known.spec

    run_story(story())


def test_workloads_share_the_texts_that_all_have() -> None:
    text = json.dumps(
        {"metadata": {"name": "checkout", "managedFields": [1]}, "spec": {"policy": "Always it"}}
    )
    first, second = _kept(json.loads(text)), _kept(json.loads(text))
    assert first == second == {"metadata": {"name": "checkout"}, "spec": {"policy": "Always it"}}
    assert first["spec"]["policy"] is second["spec"]["policy"]
    assert next(iter(first)) is next(iter(second))


def test_verdicts_share_the_texts_that_all_have() -> None:
    text = json.dumps(
        {
            "check": "NotFrozen",
            "result": "Passed",
            "reason": "NotFrozen",
            "message": "Nothing is frozen.",
            "evidence": {"seen_at": "now, as ever"},
            "added": "by a later version",
        }
    )
    (first,), (second,) = (Status.model_validate({"verdicts": [json.loads(text)]}).verdicts for _ in "12")
    assert first == second
    assert first.message is second.message
    assert first.evidence is not second.evidence
    for one, other in zip(*(dict(each.evidence).popitem() for each in (first, second)), strict=True):
        assert one is other
    assert not hasattr(first, "__dict__")


class Items(list[Any]):
    """A list that can be waited for to be gone."""


class Api:
    """Has one list, and watches that tell nothing."""

    def __init__(self, items: Items) -> None:
        self._listed: ObjectList | None = ObjectList(items, "7")

    async def list(self, path: str, *, label_selector: str, field_selector: str) -> ObjectList:
        assert self._listed is not None
        listed, self._listed = self._listed, None
        return listed

    async def watch(self, path: str, **query: str) -> AsyncIterator[WatchEvent]:
        await asyncio.Event().wait()
        yield WatchEvent("ADDED", {})


def test_a_watch_keeps_nothing_of_the_list_that_it_began_with() -> None:
    async def story() -> None:
        clock = LoopClock(datetime(2026, 1, 1, tzinfo=UTC))
        items = Items([{}])
        there = weakref.ref(items)
        seen: list[int] = []

        async def follow(api: Api) -> None:
            async for each in observe(api, clock, "/things", "", ""):
                assert isinstance(each, Listed)
                seen.append(len(each.items))
                del each

        async with alongside(follow(Api(items))):
            del items
            await clock.sleep(1)
            assert seen == [1]
            assert there() is None

    run_story(story())
