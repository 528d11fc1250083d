"""However much is thrown at an incident or a record, the object stays below 1 MiB, and is taken whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from responder.clients.kubernetes import Invalid, paths
from responder.incidents.model import (
    MAX_ALERTS,
    MAX_OVERFLOW,
    MAX_TIMELINE,
    AlertEntry,
    Page,
    Status,
    TimelineEntry,
    VerdictEntry,
)
from responder.incidents.record import Held, WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.verdicts import Result
from responder.workloads.ledger import (
    MAX_CHANGE_CAUSE,
    MAX_IMAGE,
    MAX_IMAGES,
    KnownBad,
    LeftAlone,
    RevisionRef,
    RollbackDone,
    Serving,
)
from responder.workloads.observe import MAX_SERVINGS
from tests.shared import run_story
from tests.unit.deploy.test_applied import AT, KEY, deployed

MIB = 1024 * 1024
LONG = "x" * 100_000
TEXTS = {f"key{n:03}": LONG for n in range(300)}


def size(obj: dict[str, Any]) -> int:
    return len(json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode())


def revision() -> RevisionRef:
    return RevisionRef(
        uid="u" * 36,
        replica_set="r" * 253,
        hash="h" * 63,
        revision=7,
        images=("i" * MAX_IMAGE,) * MAX_IMAGES,
        change_cause="c" * MAX_CHANGE_CAUSE,
    )


def test_an_incident(tmp_path: Path) -> None:
    entry = AlertEntry(labels=TEXTS, annotations=TEXTS, starts_at=AT, ends_at=AT, generator_url=LONG)
    counted: dict[str, int] = {}

    def count(what: str, number: int) -> None:
        counted[what] = counted.get(what, 0) + number

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            store = IncidentStore(cluster.admin, count)
            opened = await store.open(KEY, 1, {f"{n:064}": entry for n in range(MAX_ALERTS)}, AT)
            with pytest.raises(Invalid):
                await store.write_alerts(KEY, 1, {"one more": entry})
            extra = {f"{n:016}": LONG for n in range(MAX_OVERFLOW + 5)}
            await store.note_overflow(opened, extra)
            opened = await store.get(KEY.namespace, opened.name)
            await store.note_overflow(opened, extra)
            evidence = {f"evidence{n}": LONG for n in range(100)}
            verdict = VerdictEntry(
                check="c", result=Result.FAILED, reason="r" * 253, message=LONG, evidence=evidence
            )
            status = Status(
                message=LONG,
                bad=revision(),
                target=revision(),
                verdicts=(verdict,) * 100,
                guards=(verdict,) * 32,
                page=Page(reason="R", message=LONG, at=AT),
                timeline=(TimelineEntry(at=AT, event="Tell", message=LONG),) * MAX_TIMELINE,
            )
            recorded = await store.record(opened, status)
            stored = await cluster.admin.get(paths.incident(KEY.namespace, opened.name))
            assert size(stored) < MIB
            assert recorded.status.dropped.alerts == MAX_OVERFLOW
            assert recorded.status.dropped.labels == MAX_ALERTS * opened.spec.alerts["0" * 64].dropped > 0
            assert counted["alert"] == MAX_OVERFLOW + 5 + 5
            assert counted["verdict"] == recorded.status.dropped.verdicts == 100 - 32
            assert counted["label"] > recorded.status.dropped.labels  # also of the one that was refused

    run_story(story())


def test_a_record(tmp_path: Path) -> None:
    labels = {f"key{n}": "x" * 1000 for n in range(6)}
    held = Held(starts_at=AT, incident="i" * 253, labels=labels, last_seen_at=AT)
    done = RollbackDone(
        incident="i" * 253, from_uid="u" * 36, to_uid="u" * 36, at=AT, automatic=True, by="b" * 100
    )

    def fill(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        full = spec.model_copy(
            update={
                "servings": (Serving(revision=revision(), seen=True, first_serving_at=AT),) * MAX_SERVINGS,
                "known_bad": (KnownBad(revision=revision(), incident="i" * 253, at=AT),) * 50,
                "rollbacks": (done,) * 50,
                "left_alone": (LeftAlone(uid="u" * 36, until=AT, by="b" * 100),) * 50,
            }
        )
        return full.holding({f"{n:064}": held for n in range(1000)})

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            record = await IncidentStore(cluster.admin).update_record(KEY, fill)
            stored = await cluster.admin.get(paths.workloadrecord(KEY.namespace, record.metadata.name))
            assert size(stored) < MIB
            assert record.spec.held_dropped + len(record.spec.held) == 1000

    run_story(story())
