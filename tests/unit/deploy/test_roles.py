"""The roles of deploy/: the least that works, given where the operator says, and no wildcards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.deploy.rendering import BASE, OVERLAY, Grant, find, grants, render, render_with

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


def writes(role: str) -> set[Grant]:
    return {grant for grant in grants(find("ClusterRole", role)) if grant[0] not in READS}


def test_the_responder_writes_little() -> None:
    # Which reads there are is compared with what the program asks for, in tests/flow/test_rights.py.
    assert writes("responder") == {
        ("create", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents"),
        ("delete", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents/status"),
        ("create", "responder.dev", "workloadrecords"),
        ("patch", "responder.dev", "workloadrecords"),
        ("create", "responder.dev", "decisions"),
        ("delete", "responder.dev", "decisions"),
    }
    kinds = ("deployments", "statefulsets", "daemonsets")
    assert writes("responder-workloads") == {("patch", "apps", kind) for kind in kinds}


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


def test_what_is_opt_in_is_not_given_by_itself() -> None:
    for role in (obj for obj in render(OVERLAY) if obj["kind"].endswith("Role")):
        for verb, group, resource in grants(role):
            assert "*" not in (verb, group, resource)
            assert resource != "secrets"
            assert not group.endswith(("argoproj.io", "fluxcd.io"))


def test_secrets_are_read_where_workloads_are(tmp_path: Path) -> None:
    objects = render_with(tmp_path, "secrets")
    more = grants(find("ClusterRole", "responder-workloads", objects))
    assert more - grants(find("ClusterRole", "responder-workloads")) == {("get", "", "secrets")}
    (container,) = find("Deployment", "responder", objects)["spec"]["template"]["spec"]["containers"]
    assert {"name": "RESPONDER_LOOK_AT_SECRETS", "value": "true"} in container["env"]
    assert len(objects) == len(render(OVERLAY))


def test_drivers_are_listed_where_workloads_are(tmp_path: Path) -> None:
    objects = render_with(tmp_path, "progressive-delivery")
    more = grants(find("ClusterRole", "responder-workloads", objects))
    added = {("list", "flagger.app", "canaries"), ("list", "argoproj.io", "rollouts")}
    assert more - grants(find("ClusterRole", "responder-workloads")) == added
    (container,) = find("Deployment", "responder", objects)["spec"]["template"]["spec"]["containers"]
    assert {"name": "RESPONDER_LOOK_FOR_DRIVERS", "value": "true"} in container["env"]


def test_pods_are_deleted_where_workloads_are(tmp_path: Path) -> None:
    objects = render_with(tmp_path, "stuck-pods")
    more = grants(find("ClusterRole", "responder-workloads", objects))
    assert more - grants(find("ClusterRole", "responder-workloads")) == {("delete", "", "pods")}
    assert len(objects) == len(render(OVERLAY))


@pytest.mark.parametrize(
    ("component", "namespace", "resources"),
    [
        ("argo-cd", "argocd", {("argoproj.io", "applications")}),
        (
            "flux",
            "flux-system",
            {
                ("kustomize.toolkit.fluxcd.io", "kustomizations"),
                ("helm.toolkit.fluxcd.io", "helmreleases"),
            },
        ),
    ],
)
def test_owners_in_git_are_paused_in_their_own_namespace(
    component: str, namespace: str, resources: set[tuple[str, str]], tmp_path: Path
) -> None:
    objects = render_with(tmp_path, component)
    role = find("Role", f"responder-{component}", objects)
    binding = find("RoleBinding", f"responder-{component}", objects)
    assert grants(role) == {(verb, *resource) for verb in ("get", "patch") for resource in resources}
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == namespace
    assert (binding["roleRef"]["name"], binding["subjects"]) == (role["metadata"]["name"], [ACCOUNT])


def test_a_decider_writes_answers_alone() -> None:
    assert writes("responder-decider") == {("create", "responder.dev", "decisions")}
