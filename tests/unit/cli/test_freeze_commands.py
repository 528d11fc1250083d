"""`responder freeze`, `unfreeze` and `freeze --list`: the marks that the guards read, written and shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from responder.sandbox.api.faults import FaultRule, Refuse
from responder.sandbox.cluster import DEPLOYMENTS
from responder.sandbox.manifests import deployment
from responder.workloads.freeze import parse_freeze
from responder.workloads.views import FREEZE
from tests.unit.cli.commands import (
    HOME,
    LEASES,
    NAME,
    NAMESPACE,
    NAMESPACES,
    Shell,
)

PLACES = {
    "everything": ((), (NAMESPACES, "", HOME)),
    "namespace payments": ((NAMESPACE,), (NAMESPACES, "", NAMESPACE)),
    "deployment payments/payment-service": ((f"{NAMESPACE}/{NAME}",), (DEPLOYMENTS, NAMESPACE, NAME)),
}


@pytest.mark.parametrize("where", PLACES)
async def test_a_freeze_is_set_shown_and_taken_away(sh: Shell, where: str) -> None:
    place, at = PLACES[where]
    assert await sh.ok("freeze", *place, "--reason", "audit") == f"Frozen: {where}. (audit)\n"
    assert sh.mark(*at) == "audit"
    assert [line.split("  ")[0] for line in (await sh.ok("freeze", "--list")).splitlines()] == [
        "WHERE",
        where,
    ]
    assert (await sh.ok("unfreeze", *place)).startswith(f"Goes on: {where}.")
    assert sh.mark(*at) is None
    assert await sh.ok("freeze", "--list") == "Nothing is frozen.\n"
    assert await sh.ok("unfreeze", *place) == f"Not frozen: {where} carried no freeze.\n"


async def test_taken_away_for_machines(sh: Shell) -> None:
    await sh.ok("freeze", NAMESPACE, "--reason", "audit")
    found = [json.loads(await sh.ok("unfreeze", NAMESPACE, "-o", "json")) for _ in range(2)]
    where = {"where": "namespace payments", "until": None}
    assert found == [
        {**where, "wasFrozen": True, "reason": "audit"},
        {**where, "wasFrozen": False, "reason": None},
    ]


async def test_other_annotations_stay(sh: Shell) -> None:
    await sh.cluster.rollout_complete(NAMESPACE, NAME)
    before = sh.cluster.deployment(NAMESPACE, NAME)["metadata"]["annotations"]
    await sh.ok("freeze", f"{NAMESPACE}/{NAME}", "--reason", "audit")
    frozen = sh.cluster.deployment(NAMESPACE, NAME)
    assert frozen["metadata"]["annotations"] == {**before, FREEZE: "audit"}
    await sh.ok("unfreeze", f"{NAMESPACE}/{NAME}")
    assert sh.cluster.deployment(NAMESPACE, NAME)["metadata"]["annotations"] == before


async def test_a_freeze_with_an_end(sh: Shell) -> None:
    begun = datetime.now(UTC)  # noqa: TID251 - the command asks the system's clock
    await sh.ok("freeze", NAMESPACE, "--reason", "audit", "--for", "2h")
    mark = parse_freeze(sh.mark(NAMESPACES, "", NAMESPACE) or "")
    assert mark.reason == "audit"
    assert mark.until is not None
    assert timedelta(hours=2, seconds=-2) <= mark.until - begun <= timedelta(hours=2, minutes=1)
    (found,) = json.loads(await sh.ok("freeze", "--list", "-o", "json"))
    assert found == {
        "where": "namespace payments",
        "reason": "audit",
        "until": mark.until.isoformat(),
        "counts": True,
    }


async def test_one_that_is_over_is_shown_as_such_and_may_be_replaced(sh: Shell) -> None:
    namespace = sh.cluster.store.get(NAMESPACES, "", NAMESPACE)
    assert namespace is not None
    namespace["metadata"]["annotations"] = {FREEZE: "until 2020-01-01T00:00:00Z: audit"}
    sh.cluster.store.update(NAMESPACES, namespace, manager="tests")
    lines = (await sh.ok("freeze", "--list", NAMESPACE)).splitlines()
    assert lines[1].split("  ")[-1] == "no, it is over"
    assert "2020-01-01 00:00:00Z" in lines[1]
    await sh.ok("freeze", NAMESPACE, "--reason", "migration")
    assert sh.mark(NAMESPACES, "", NAMESPACE) == "migration"


@pytest.mark.parametrize("command", [("unfreeze",), ("freeze", "--list"), ("incidents", "-n")])
async def test_a_namespace_that_does_not_exist_is_named(sh: Shell, command: tuple[str, ...]) -> None:
    assert (await sh.refused(*command, "nowhere")).startswith("there is no namespace nowhere;")


async def test_a_workload_that_does_not_exist_is_not_listed_as_free(sh: Shell) -> None:
    assert "there is no workload" in await sh.refused("freeze", "--list", f"{NAMESPACE}/nosuch")


async def test_somebody_elses_freeze_is_not_lost_by_accident(sh: Shell) -> None:
    await sh.ok("freeze", NAMESPACE, "--reason", "audit")
    said = await sh.refused("freeze", NAMESPACE, "--reason", "lunch", "--for", "1m")
    assert said.startswith("namespace payments is frozen already, saying 'audit'; --replace")
    assert sh.mark(NAMESPACES, "", NAMESPACE) == "audit"
    await sh.ok("freeze", NAMESPACE, "--reason", "lunch", "--replace")
    assert sh.mark(NAMESPACES, "", NAMESPACE) == "lunch"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--reason is needed"),
        (("--reason", " "), "--reason is needed"),
        (("--reason", "x", "--for", "2"), "2 has no unit"),
        (("--reason", "x", "--for", "0"), "must be a second at least"),
        (("--reason", "until 2026-03-02T12:00:00Z: x"), "give the end with --for"),
        (("a/b/c/d", "--reason", "x"), "write NAMESPACE"),
        (("/b", "--reason", "x"), "write NAMESPACE"),
        (("a/job/c", "--reason", "x"), "is no kind of workload"),
        ((f"{NAMESPACE}/nothing", "--reason", "x"), "there is no workload payments/nothing"),
        (("nowhere", "--reason", "x"), "there is no namespace nowhere; `kubectl get namespaces` lists"),
        (("nowhere/x", "--reason", "x"), "there is no workload nowhere/x"),
        (("--responder-namespace", "nowhere", "--reason", "x"), "there is no namespace nowhere"),
    ],
)
async def test_what_is_not_clear_freezes_nothing(sh: Shell, arguments: tuple[str, ...], said: str) -> None:
    assert said in " ".join((await sh.refused("freeze", *arguments)).split())
    assert await sh.ok("freeze", "--list") == "Nothing is frozen.\n"


async def test_everything_is_frozen_only_where_a_responder_leads(sh: Shell) -> None:
    sh.cluster.store.delete(LEASES, HOME, HOME)
    said = await sh.refused("freeze", "--reason", "audit")
    assert (
        "neither found nor set there: name the namespace that it runs in with --responder-namespace" in said
    )
    assert sh.mark(NAMESPACES, "", HOME) is None
    await sh.ok("freeze", "--reason", "audit", "--responder-namespace", NAMESPACE)
    assert sh.mark(NAMESPACES, "", NAMESPACE) == "audit"


async def test_two_workloads_of_one_name(sh: Shell) -> None:
    other = deployment(NAME, namespace=NAMESPACE, image="app:v1") | {"kind": "StatefulSet"}
    spec = {key: other["spec"][key] for key in ("replicas", "selector", "template")}
    sh.cluster.apply(other | {"spec": {**spec, "serviceName": NAME}})
    said = await sh.refused("freeze", f"{NAMESPACE}/{NAME}", "--reason", "audit")
    assert "write payments/deployment/payment-service or payments/statefulset/payment-service" in said
    await sh.ok("freeze", f"{NAMESPACE}/statefulset/{NAME}", "--reason", "audit")
    assert sh.mark("statefulsets.apps", NAMESPACE, NAME) == "audit"
    assert sh.mark(DEPLOYMENTS, NAMESPACE, NAME) is None


async def test_whoever_may_not_is_told(sh: Shell) -> None:
    said = await sh.refused("freeze", NAMESPACE, "--reason", "audit", token="nobody")
    assert 'forbidden: User "nobody"' in said
    assert said.endswith("see `kubectl auth can-i --list` for the user that it names")
    done = await sh.run("freeze", "--list", token="nobody")
    assert (done.exit_code, done.stdout) == (1, "No freeze seen in what could be looked at.\n")
    assert done.stderr.count("not looked at") == 5
    done = await sh.run("freeze", "--list", "-o", "json", token="nobody")
    assert (done.exit_code, done.stdout) == (1, "[]\n")


async def test_a_kind_that_may_not_be_read_hides_no_freeze_of_the_namespace(sh: Shell) -> None:
    await sh.ok("freeze", NAMESPACE, "--reason", "audit")
    sh.cluster.faults.add(FaultRule("GET", "/daemonsets", Refuse(403)))
    done = await sh.run("freeze", "--list", f"{NAMESPACE}/{NAME}")
    assert done.exit_code == 0
    assert f"namespace {NAMESPACE}" in done.stdout
    assert done.stderr.startswith("responder: DaemonSets were not looked at: ")
