"""The roles of deploy/: the least that works, given where the operator says, and no wildcards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.deploy.rendering import BASE, OVERLAY, find, grants, render, render_with

READS = {"get", "list", "watch"}
ACCOUNT = {"kind": "ServiceAccount", "name": "responder", "namespace": "responder"}


def test_the_bindings_name_what_exists() -> None:
    objects = render(OVERLAY)
    bindings = [obj for obj in objects if obj["kind"].endswith("Binding")]
    assert len(bindings) == 3
    for binding in bindings:
        assert find(binding["roleRef"]["kind"], binding["roleRef"]["name"])
        assert binding["subjects"] == [ACCOUNT]
    assert find("ServiceAccount")["metadata"]["namespace"] == ACCOUNT["namespace"]


def test_the_responder_writes_little_and_reads_no_secrets() -> None:
    granted = grants(find("ClusterRole"))
    assert {grant for grant in granted if grant[0] not in READS} == {
        ("create", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents/status"),
        ("create", "responder.dev", "workloadrecords"),
        ("patch", "responder.dev", "workloadrecords"),
        ("create", "responder.dev", "decisions"),
    }
    assert {(group, resource) for verb, group, resource in granted if verb in READS} == {
        ("", "namespaces"),
        ("responder.dev", "incidents"),
        ("responder.dev", "incidents/status"),
        ("responder.dev", "workloadrecords"),
        ("responder.dev", "decisions"),
    }


def test_workloads_are_touched_by_one_patch() -> None:
    granted = grants(find("ClusterRole", "responder-workloads"))
    assert {grant for grant in granted if grant[0] not in READS} == {("patch", "apps", "deployments")}
    assert {(group, resource) for verb, group, resource in granted if verb in READS} == {
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("", "pods"),
        ("", "services"),
        ("discovery.k8s.io", "endpointslices"),
    }


def test_workloads_are_reached_only_where_an_overlay_says() -> None:
    def places(objects: list[dict[str, object]]) -> list[tuple[str, str | None]]:
        return [
            (obj["kind"], obj["metadata"].get("namespace"))  # type: ignore[misc, attr-defined]
            for obj in objects
            if str(obj["kind"]).endswith("Binding") and obj["roleRef"]["name"] == "responder-workloads"  # type: ignore[index]
        ]

    assert places(render(BASE)) == []
    assert places(render(OVERLAY)) == [("RoleBinding", "payments")]


def test_every_namespace_is_a_component(tmp_path: Path) -> None:
    objects = render_with(tmp_path, "every-namespace")
    binding = find("ClusterRoleBinding", "responder-workloads", objects)
    assert binding["roleRef"] == find("RoleBinding", "responder-workloads", objects)["roleRef"]
    assert binding["subjects"] == [ACCOUNT]


def test_one_lease_is_held() -> None:
    role = find("Role", "responder-lease")
    assert role["metadata"]["namespace"] == ACCOUNT["namespace"]
    assert grants(role) == {(verb, "coordination.k8s.io", "leases") for verb in ("get", "patch", "create")}
    unnamed = [rule["verbs"] for rule in role["rules"] if rule.get("resourceNames") != ["responder"]]
    assert unnamed == [["create"]]


@pytest.mark.parametrize("name", ["responder", "responder-workloads", "responder-decider"])
def test_no_role_has_wildcards(name: str) -> None:
    assert not any("*" in grant for grant in grants(find("ClusterRole", name)))


def test_a_decider_writes_answers_alone() -> None:
    granted = grants(find("ClusterRole", "responder-decider"))
    writes = {grant for grant in granted if grant[0] not in READS}
    assert writes == {("create", "responder.dev", "decisions")}
