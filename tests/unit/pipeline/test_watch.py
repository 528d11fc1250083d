"""What breaks at one workload ends no watch: its facts are unknown meanwhile, and it is tried again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from responder.clients.kubernetes import Changed, Kubernetes, Listed
from responder.incidents.model import Metadata, WorkloadRef
from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.pipeline.gather import Gatherer
from responder.pipeline.watch import RevisionWatch
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import alongside
from responder.workloads.key import WorkloadKey
from tests.shared import run_story
from tests.unit.actions.build import rule_file

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ODD = WorkloadKey("payments", "Deployment", "odd")
FINE = WorkloadKey("payments", "Deployment", "fine")


def deployment(name: str, template: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "payments", "uid": f"uid-{name}", "generation": 1},
        "spec": {"replicas": 1, "template": template},
        "status": {},
    }


def revision(name: str) -> dict[str, Any]:
    owner = {"uid": f"uid-{name}", "controller": True, "kind": "Deployment", "name": name}
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name}-1",
            "namespace": "payments",
            "uid": f"uid-{name}-1",
            "creationTimestamp": "2026-03-02T08:00:00Z",
            "labels": {"pod-template-hash": "1"},
            "ownerReferences": [owner],
        },
        "spec": {"replicas": 1, "template": {"spec": {"containers": []}}},
        "status": {"readyReplicas": 1},
    }


TEMPLATE: dict[str, Any] = {"spec": {"containers": []}}


class Cluster(Kubernetes):
    """Lists these, and then tells what is put into `changes`."""

    def __init__(self, *workloads: dict[str, Any]) -> None:
        self.workloads = list(workloads)
        self.changes: asyncio.Queue[Changed] = asyncio.Queue()
        self.lists = 0

    async def list_watch(self, path: str, *, label_selector: str = "", field_selector: str = "") -> Any:
        if path.endswith("/replicasets"):
            yield Listed([revision("odd"), revision("fine")], "1")
            await asyncio.Event().wait()
        self.lists += 1
        yield Listed(self.workloads, "1")
        while True:
            yield await self.changes.get()


class Records(IncidentStore):
    """Workload records in memory; what `breaks` says raises what nobody foresaw."""

    def __init__(self) -> None:
        self.specs: dict[WorkloadKey, WorkloadRecordSpec] = {}
        self.breaks: Callable[[WorkloadKey], bool] = lambda _key: False

    async def update_record(
        self, key: WorkloadKey, change: Callable[[WorkloadRecordSpec], WorkloadRecordSpec]
    ) -> WorkloadRecord:
        if self.breaks(key):
            raise ZeroDivisionError
        ref = WorkloadRef(kind=key.kind, name=key.name)
        self.specs[key] = change(self.specs.get(key) or WorkloadRecordSpec(workload=ref))
        metadata = Metadata(
            name=key.record_name,
            namespace=key.namespace,
            uid="u",
            resource_version="1",
            creation_timestamp=AT,
        )
        return WorkloadRecord(metadata=metadata, spec=self.specs[key])

    def serving(self, key: WorkloadKey) -> bool:
        return key in self.specs and bool(self.specs[key].servings)

    def watched(self, key: WorkloadKey) -> bool:
        return key in self.specs and self.specs[key].watched_from is not None


async def quiet() -> None:
    """No delivery is under way."""


async def never() -> None:
    """There are always deliveries under way."""
    await asyncio.Event().wait()


@asynccontextmanager
async def watching(
    cluster: Cluster, records: Records, quiet: Callable[[], Awaitable[None]] = quiet
) -> AsyncIterator[tuple[RevisionWatch, Counter[str]]]:
    broken: Counter[str] = Counter()
    watch = RevisionWatch(
        cluster,
        records,
        cast(Gatherer, None),
        LoopClock(AT),
        [replace(rule_file(), workload=key) for key in (ODD, FINE)],
        timedelta(seconds=15),
        lambda _record: None,
        lambda _key: None,
        quiet,
        lambda what: broken.update([what]),
    )
    async with alongside(watch.run()):
        yield watch, broken


def test_ledgers_catch_up_in_the_midst_of_a_storm_and_one_that_can_not_holds_up_no_other() -> None:
    async def story() -> None:
        cluster, records = Cluster(deployment("odd", TEMPLATE), deployment("fine", TEMPLATE)), Records()
        records.breaks = lambda key: key == ODD
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with watching(cluster, records, quiet=never) as (watch, _):
            assert await watch.caught_up(FINE)
            assert loop.time() - began < 0.1
            assert not await watch.caught_up(ODD)
            assert 4.9 < loop.time() - began < 5.1
            # Waited for once, not at every judgement.
            assert not await watch.caught_up(ODD)
            assert loop.time() - began < 5.1

    run_story(story())


def test_an_odd_object_leaves_one_workload_unknown_until_it_can_be_looked_at() -> None:
    async def story() -> None:
        cluster, records = Cluster(deployment("odd", "odd"), deployment("fine", TEMPLATE)), Records()
        async with watching(cluster, records) as (_, broken):
            await LoopClock(AT).sleep(1)
            assert (records.serving(ODD), records.watched(ODD)) == (False, False)
            assert (records.serving(FINE), records.watched(FINE)) == (True, True)
            # However often it changes, it is looked at in its own time.
            for _ in range(50):
                cluster.changes.put_nowait(Changed("MODIFIED", deployment("odd", "odd")))
            await LoopClock(AT).sleep(600)
            assert set(broken) == {"look"}
            assert 3 < broken["look"] < 12
            cluster.changes.put_nowait(Changed("MODIFIED", deployment("odd", TEMPLATE)))
            await LoopClock(AT).sleep(301)
            assert (records.serving(ODD), records.watched(ODD)) == (True, True)
            assert cluster.lists == 1

    run_story(story())


def test_what_was_watched_is_unknown_once_it_turns_odd() -> None:
    async def story() -> None:
        cluster, records = Cluster(deployment("odd", TEMPLATE), deployment("fine", TEMPLATE)), Records()
        async with watching(cluster, records):
            await LoopClock(AT).sleep(1)
            assert records.watched(ODD)
            before = records.specs[FINE]
            cluster.changes.put_nowait(Changed("MODIFIED", deployment("odd", "odd")))
            await LoopClock(AT).sleep(1)
            assert not records.watched(ODD)
            assert records.specs[FINE] == before

    run_story(story())


def test_a_record_that_breaks_holds_up_no_other_and_is_written_later() -> None:
    async def story() -> None:
        cluster, records = Cluster(deployment("odd", TEMPLATE), deployment("fine", TEMPLATE)), Records()
        records.breaks = ODD.__eq__
        async with watching(cluster, records) as (_, broken):
            await LoopClock(AT).sleep(60)
            assert records.serving(FINE)
            assert not records.serving(ODD)
            assert 2 < broken["ledger"] < 8
            records.breaks = lambda _key: False
            await LoopClock(AT).sleep(300)
            assert records.serving(ODD)

    run_story(story())


def test_what_can_not_be_followed_at_all_is_listed_anew() -> None:
    async def story() -> None:
        cluster, records = Cluster(deployment("odd", TEMPLATE), deployment("fine", TEMPLATE)), Records()
        async with watching(cluster, records) as (_, broken):
            await LoopClock(AT).sleep(1)
            cluster.changes.put_nowait(Changed("MODIFIED", {"metadata": {}}))
            await LoopClock(AT).sleep(1)
            assert (records.watched(ODD), records.watched(FINE)) == (False, False)
            await LoopClock(AT).sleep(30)
            assert (records.watched(ODD), records.watched(FINE)) == (True, True)
            assert (broken["watch"], cluster.lists) == (1, 2)

    run_story(story())
