"""`responder known-bad`: what was rolled back, and taking one off the list."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from responder.sandbox.api.faults import FaultRule, Refuse
from tests.unit.cli.commands import HOME, INCIDENT, NAME, NAMESPACE, RECORDS, Shell


def bad(number: int) -> dict[str, Any]:
    revision = {
        "uid": f"uid-{number}",
        "replicaSet": f"{NAME}-{number}{number}{number}",
        "hash": f"{number}{number}{number}",
        "revision": number,
        "images": [f"app:v{number}"],
    }
    return {"revision": revision, "incident": INCIDENT, "at": "2026-03-02T09:00:00Z"}


def put_record(sh: Shell, *known: int | dict[str, Any], kind: str = "Deployment") -> None:
    body = {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "WorkloadRecord",
        "metadata": {"name": f"{kind.lower()}-{NAME}", "namespace": NAMESPACE},
        "spec": {
            "workload": {"kind": kind, "name": NAME},
            "nextSequence": 7,
            "knownBad": [bad(each) if isinstance(each, int) else each for each in known],
        },
    }
    sh.cluster.store.create(RECORDS, body, manager="tests")


def kept(sh: Shell) -> list[str]:
    (record,) = sh.cluster.store.list(RECORDS, NAMESPACE)
    assert record["spec"]["nextSequence"] == 7
    return [each["revision"]["hash"] for each in record["spec"]["knownBad"]]


async def test_they_are_listed(sh: Shell) -> None:
    assert await sh.ok("known-bad") == "No known-bad revisions.\n"
    put_record(sh, 2, 3)
    head, *rows = (await sh.ok("known-bad", f"{NAMESPACE}/{NAME}")).splitlines()
    assert head.split()[:4] == ["WORKLOAD", "HASH", "REVISION", "IMAGES"]
    workload = f"{NAMESPACE}/deployment/{NAME}"
    assert [row.split() for row in rows] == [
        [workload, "222", "2", "app:v2", "2026-03-02", "09:00:00Z", INCIDENT],
        [workload, "333", "3", "app:v3", "2026-03-02", "09:00:00Z", INCIDENT],
    ]
    assert await sh.ok("known-bad", HOME) == "No known-bad revisions.\n"
    found = json.loads(await sh.ok("known-bad", "-o", "json"))
    assert [each["hash"] for each in found] == ["222", "333"]
    assert found[0]["workload"] == {"namespace": NAMESPACE, "kind": "Deployment", "name": NAME}


async def test_a_hash_that_was_rolled_back_twice_is_one_row(sh: Shell) -> None:
    """It came back under a newer revision number, and is the same revision."""
    again = bad(4) | {"at": "2026-03-02T10:00:00Z"}
    again["revision"] |= {"hash": "222", "replicaSet": f"{NAME}-222"}
    put_record(sh, again, 2, 3)
    rows = [row.split()[1:3] for row in (await sh.ok("known-bad")).splitlines()[1:]]
    assert rows == [["222", "4"], ["333", "3"]]
    assert len(json.loads(await sh.ok("known-bad", "-o", "json"))) == 3


async def test_names_stay_whole_in_a_terminal(sh: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    put_record(sh, 2)
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", await replace(sh, columns=80).ok("known-bad"))
    head, row, told = shown.splitlines()
    assert head.split() == ["WORKLOAD", "HASH", "REVISION", "ROLLED", "BACK"]
    assert row.split() == [f"{NAMESPACE}/deployment/{NAME}", "222", "2", "2026-03-02", "09:00:00Z"]
    assert told.startswith("No room for IMAGES, INCIDENT: ")


async def test_what_does_not_exist_is_no_empty_list(sh: Shell) -> None:
    """A typing error must not look as if nothing had been rolled back."""
    assert await sh.ok("known-bad", f"{NAMESPACE}/{NAME}") == "No known-bad revisions.\n"
    assert "there is no workload payments/nosuch" in await sh.refused("known-bad", f"{NAMESPACE}/nosuch")
    kind = f"{NAMESPACE}/statefulset/{NAME}"
    assert f"there is no StatefulSet {NAMESPACE}/{NAME}" in await sh.refused("known-bad", kind)
    assert "there is no namespace nowhere" in await sh.refused("known-bad", "nowhere")
    assert "there is no namespace nowhere" in await sh.refused("known-bad", f"nowhere/{NAME}")
    # The record of a workload that is gone tells on.
    put_record(sh, 2)
    sh.cluster.store.delete("deployments.apps", NAMESPACE, NAME)
    assert "222" in await sh.ok("known-bad", f"{NAMESPACE}/{NAME}")


async def test_whoever_may_not_look_for_it_is_not_told_that_it_is_there(sh: Shell) -> None:
    sh.cluster.faults.add(FaultRule("GET", "/namespaces/payments$", Refuse(403)))
    assert await sh.ok("known-bad", f"{NAMESPACE}/nosuch") == "No known-bad revisions.\n"


@pytest.mark.parametrize("named", ["222", f"{NAME}-222"])
async def test_one_is_forgotten(sh: Shell, named: str) -> None:
    put_record(sh, 2, 3)
    said = await sh.ok("known-bad", f"{NAMESPACE}/{NAME}", "--forget", named)
    assert said == f"Forgotten: {named} of deployment payments/payment-service may be gone back to again.\n"
    assert kept(sh) == ["333"]


async def test_the_last_one_is_forgotten(sh: Shell) -> None:
    put_record(sh, 2)
    await sh.ok("known-bad", f"{NAMESPACE}/{NAME}", "--forget", "222")
    assert kept(sh) == []


async def test_what_is_not_known_is_not_forgotten(sh: Shell) -> None:
    put_record(sh, 2, 3)
    said = await sh.refused("known-bad", f"{NAMESPACE}/{NAME}", "--forget", "22")
    assert said == f"22 is no known-bad revision of {NAMESPACE}/{NAME}; known are: 222, 333"
    assert "--forget takes the workload" in await sh.refused("known-bad", NAMESPACE, "--forget", "222")
    assert kept(sh) == ["222", "333"]


async def test_two_workloads_of_one_name(sh: Shell) -> None:
    put_record(sh, 2)
    put_record(sh, 2, kind="StatefulSet")
    said = await sh.refused("known-bad", f"{NAMESPACE}/{NAME}", "--forget", "222")
    assert said.endswith(f"write {NAMESPACE}/deployment/{NAME} or {NAMESPACE}/statefulset/{NAME}")
    await sh.ok("known-bad", f"{NAMESPACE}/statefulset/{NAME}", "--forget", "222")
    rows = (await sh.ok("known-bad")).splitlines()[1:]
    assert [row.split()[0] for row in rows] == [f"{NAMESPACE}/deployment/{NAME}"]


async def test_it_is_written_on_the_state_that_was_read(sh: Shell) -> None:
    """A conflict is read anew; every write names the state that it was made for."""
    put_record(sh, 2, 3)
    sh.cluster.faults.add(FaultRule("PATCH", "/workloadrecords/", Refuse(409), count=1))
    await sh.ok("known-bad", f"{NAMESPACE}/{NAME}", "--forget", "222")
    assert kept(sh) == ["333"]
    (write,) = sh.cluster.log.writes("/workloadrecords/")
    assert write.body["metadata"]["resourceVersion"]
