"""Which marks make an owner, which don't, and who wrote a template last."""

from __future__ import annotations

from typing import Any

import pytest

from responder.workloads.owners import Owner, OwnerKind, find_owners, last_writer
from responder.workloads.views import Object

TRACKED = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:payments/app"}
KUSTOMIZED = {
    "kustomize.toolkit.fluxcd.io/name": "apps",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}
RELEASED = {"helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": "payments"}
HELM_LABEL = {"app.kubernetes.io/managed-by": "Helm"}
HELM_NAMES = {"meta.helm.sh/release-name": "app", "meta.helm.sh/release-namespace": "payments"}
CANARY = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "name": "app",
    "uid": "c",
    "controller": True,
}


def deployment(**metadata: Any) -> Object:
    return {"kind": "Deployment", "metadata": {"name": "app", "namespace": "payments", **metadata}}


def writer(manager: str, at: str, *, operation: str = "Apply", template: bool = True) -> Object:
    spec: Object = {"f:template": {"f:spec": {}}} if template else {"f:replicas": {}}
    return {
        "manager": manager,
        "operation": operation,
        "time": at,
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": spec},
    }


def driver(kind: str, field: str, name: str = "app") -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {"kind": kind, "metadata": {"name": "one", "namespace": "payments"}, "spec": {field: reference}}


@pytest.mark.parametrize(
    ("metadata", "kind", "namespace", "name"),
    [
        ({"annotations": TRACKED}, OwnerKind.ARGO_CD, "argocd", "shop"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:payments/app"}},
            OwnerKind.ARGO_CD,
            "team",
            "shop",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, OwnerKind.ARGO_CD, "argocd", "shop"),
        (
            {
                "labels": {"app.kubernetes.io/instance": "shop"},
                "managedFields": [writer("argocd-controller", "2026-03-02T09:00:00Z")],
            },
            OwnerKind.ARGO_CD,
            "argocd",
            "shop",
        ),
        ({"labels": KUSTOMIZED}, OwnerKind.KUSTOMIZATION, "flux-system", "apps"),
        (
            {"labels": RELEASED | HELM_LABEL, "annotations": HELM_NAMES},
            OwnerKind.HELM_RELEASE,
            "payments",
            "app",
        ),
        ({"labels": HELM_LABEL, "annotations": HELM_NAMES}, OwnerKind.HELM, "payments", "app"),
        ({"ownerReferences": [CANARY]}, OwnerKind.FLAGGER, "payments", "app"),
        (
            {"ownerReferences": [{**CANARY, "kind": "ClusterServiceVersion", "name": "op.v1"}]},
            OwnerKind.CONTROLLER,
            "payments",
            "ClusterServiceVersion/op.v1",
        ),
    ],
)
def test_an_owner(metadata: dict[str, Any], kind: OwnerKind, namespace: str, name: str) -> None:
    (owner,) = find_owners(deployment(**metadata))
    assert (owner.kind, owner.namespace, owner.name) == (kind, namespace, name)
    assert owner.evidence


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        # What charts set, whoever renders them.
        {"labels": {"app.kubernetes.io/instance": "shop", **HELM_LABEL}},
        {"annotations": HELM_NAMES},
        # Copied from another object with the rest of it.
        {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:payments/other"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": "shop"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
        # Something of it, not what it runs.
        {"managedFields": [writer("argocd-controller", "2026-03-02T09:00:00Z", template=False)]},
        {"ownerReferences": [{**CANARY, "kind": "Team", "controller": False}]},
    ],
)
def test_no_owner(metadata: dict[str, Any]) -> None:
    assert find_owners(deployment(**metadata)) == ()


def test_argo_cd_under_a_label_of_its_settings_choice_is_an_owner_without_a_name() -> None:
    """Whoever wrote the template decides what it runs, also where somebody wrote it since."""
    fields = [
        writer("argocd-controller", "2026-03-02T09:00:00Z"),
        writer("kubectl-edit", "2026-03-02T09:10:00Z", operation="Update"),
    ]
    (owner,) = find_owners(deployment(labels={"example.com/instance": "shop"}, managedFields=fields))
    assert (owner.kind, owner.name) == (OwnerKind.ARGO_CD, "")
    assert str(owner) == "an unnamed Argo CD Application"


@pytest.mark.parametrize(
    ("kind", "field", "owner"),
    [("Canary", "targetRef", OwnerKind.FLAGGER), ("Rollout", "workloadRef", OwnerKind.ARGO_ROLLOUTS)],
)
def test_a_deployment_without_a_mark_is_driven_by_whoever_names_it(
    kind: str, field: str, owner: OwnerKind
) -> None:
    (found,) = find_owners(deployment(), [driver(kind, field), driver(kind, field, name="another")])
    assert found == Owner(owner, "payments", "one", f"the spec.{field} of one")


def test_two_owners_are_told_as_two() -> None:
    found = find_owners(deployment(labels=KUSTOMIZED, annotations=TRACKED), [driver("Canary", "targetRef")])
    assert [each.kind for each in found] == [OwnerKind.FLAGGER, OwnerKind.ARGO_CD, OwnerKind.KUSTOMIZATION]


def test_the_last_writer_of_the_template() -> None:
    entries = [
        writer("argocd-controller", "2026-03-02T09:00:07Z"),
        writer("responder", "2026-03-02T09:00:07Z", operation="Update"),
        writer("kubectl", "2026-03-02T09:00:01Z", operation="Update"),
        writer("autoscaler", "2026-03-02T09:00:09Z", operation="Update", template=False),
    ]
    found = last_writer(deployment(managedFields=entries))
    assert found is not None
    assert (found.manager, found.operation) == ("argocd-controller", "Apply")
    assert last_writer(deployment()) is None
