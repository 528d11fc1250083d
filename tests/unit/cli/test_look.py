"""Looking without a trace: no write gets out, no record is made; a delivery is told from one taken before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from responder.alerts.model import Alert
from responder.clients.kubernetes import Kubernetes, connect, paths
from responder.pipeline.look import Look, ReadingStore, reading_only
from responder.rules.model import RuleSet
from responder.term import TermOver
from responder.workloads.key import WorkloadKey
from tests.unit.cli.commands import INCIDENT, NAME, NAMESPACE, RECORDS, Shell

KEY = WorkloadKey(NAMESPACE, "Deployment", NAME)
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
WAIT = timedelta(seconds=10)


@pytest.fixture
async def api(sh: Shell) -> AsyncIterator[Kubernetes]:
    path = sh.folder / "kubeconfig"
    path.write_text(yaml.safe_dump(sh.cluster.kubeconfig()), encoding="utf-8")
    connected = await connect(path, clock=sh.cluster.clock)
    yield reading_only(connected)
    await connected.close()


def look(sh: Shell, api: Kubernetes) -> Look:
    # Delivering asks no Gatherer.
    unasked: Any = None
    return Look(ReadingStore(api), unasked, RuleSet(()), sh.cluster.clock, storm_wait=WAIT)


def alert(fingerprint: str = "f1", starts_at: datetime = AT, ends_at: datetime | None = None) -> Alert:
    return Alert(fingerprint, {"alertname": "Errors"}, {}, starts_at, ends_at, "")


def put_record(sh: Shell, next_sequence: int, **held: dict[str, str]) -> None:
    body = {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "WorkloadRecord",
        "metadata": {"name": f"deployment-{NAME}", "namespace": NAMESPACE},
        "spec": {
            "workload": {"kind": "Deployment", "name": NAME},
            "nextSequence": next_sequence,
            "held": held,
        },
    }
    sh.cluster.store.create(RECORDS, body, manager="tests")


async def test_nothing_is_written(sh: Shell, api: Kubernetes) -> None:
    path = paths.deployment(NAMESPACE, NAME)
    with pytest.raises(TermOver):
        await api.merge_patch(path, {"metadata": {"labels": {"x": "y"}}})
    await api.merge_patch(path, {"metadata": {"labels": {"x": "y"}}}, dry_run=True)
    assert (await ReadingStore(api).ensure_record(KEY)).spec.next_sequence == 1
    assert sh.cluster.store.list(RECORDS, NAMESPACE) == []


async def test_the_first_alert_would_open_an_incident(sh: Shell, api: Kubernetes) -> None:
    found = await look(sh, api).deliver(KEY, [alert()])
    assert found.incident is not None
    assert (found.incident.name, found.opens, found.held) == (INCIDENT, True, ())
    # It waits for the alerts of others no more.
    assert sh.cluster.clock.now() - found.incident.spec.received_at >= WAIT


async def test_it_joins_the_open_one(sh: Shell, api: Kubernetes) -> None:
    sh.put_incident({"phase": "Open", "reason": "Received"})
    found = await look(sh, api).deliver(KEY, [alert()])
    assert found.incident is not None
    assert (found.incident.name, found.opens) == (INCIDENT, False)
    assert set(found.incident.spec.alerts) == {"f1"}


async def test_a_closed_one_takes_nothing(sh: Shell, api: Kubernetes) -> None:
    sh.put_incident({"phase": "Closed", "outcome": "Told", "reason": "ToldOnly"}, closed=True)
    found = await look(sh, api).deliver(KEY, [alert()])
    assert found.incident is not None
    assert (found.incident.name, found.opens) == (f"{INCIDENT[:-1]}2", True)


async def test_an_instance_that_was_taken_before_opens_nothing(sh: Shell, api: Kubernetes) -> None:
    taken = {"startsAt": AT.isoformat(), "incident": INCIDENT, "lastSeenAt": AT.isoformat()}
    put_record(sh, 2, f1=taken)
    found = await look(sh, api).deliver(KEY, [alert()])
    assert (found.incident, found.opens, found.held) == (None, False, (alert(),))
    both = await look(sh, api).deliver(KEY, [alert(), alert("f2")])
    assert both.incident is not None
    assert set(both.incident.spec.alerts) == {"f2"}


async def test_an_end_opens_nothing(sh: Shell, api: Kubernetes) -> None:
    found = await look(sh, api).deliver(KEY, [alert(ends_at=AT + WAIT)])
    assert (found.incident, found.opens) == (None, False)
