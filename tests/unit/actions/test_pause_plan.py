"""What is written to pause an owner and to let it go on: exactly that, and never over a person's wish."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from responder.actions.pause import look_at_owner
from responder.actions.pause_plan import (
    PAUSED_BY,
    PAUSED_FROM,
    CanNotPause,
    CanNotResume,
    plan_pause,
    plan_resume,
    runs_by_itself,
    why_resume,
)
from responder.clients.kubernetes import Kubernetes
from responder.sandbox.api.patches import apply_merge_patch
from responder.workloads.ledger import PausedOwner
from responder.workloads.owners import RESUME, Owner, OwnerKind
from responder.workloads.views import Object
from responder.workloads.workload import Workload, parse_workload

UNDONE_AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ARGO = Owner(OwnerKind.ARGO_CD, "argocd", "shop", "a mark")
FLUX = Owner(OwnerKind.KUSTOMIZATION, "flux-system", "apps", "a mark")
RELEASE = Owner(OwnerKind.HELM_RELEASE, "payments", "app", "a mark")
AUTOMATED = {"prune": True, "selfHeal": True}


def application(automated: object = AUTOMATED, **metadata: Any) -> Object:
    policy = {"syncOptions": ["CreateNamespace=true"]}
    if automated is not None:
        policy["automated"] = automated  # type: ignore[assignment]
    return {"metadata": {"resourceVersion": "7", **metadata}, "spec": {"syncPolicy": policy}}


def flux(suspend: bool | None = None, **metadata: Any) -> Object:
    spec: Object = {"interval": "1m"}
    if suspend is not None:
        spec["suspend"] = suspend
    return {"metadata": {"resourceVersion": "7", **metadata}, "spec": spec}


def patched(obj: Object, patch: Object | None) -> Object:
    assert patch is not None
    assert patch["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]
    result: Object = apply_merge_patch(obj, patch)
    return result


@pytest.mark.parametrize(
    ("owner", "before"),
    [
        (ARGO, application()),
        # Argo CD takes an empty policy for one.
        (ARGO, application({})),
        (ARGO, application({"enabled": True}, annotations={"other": "mark"})),
        (FLUX, flux()),
        (FLUX, flux(suspend=False)),
        (RELEASE, flux()),
    ],
)
def test_what_is_paused_and_resumed_is_as_before(owner: Owner, before: Object) -> None:
    paused = patched(before, plan_pause(owner, before, "i.1"))
    assert not runs_by_itself(owner, paused)
    assert paused["metadata"]["annotations"][PAUSED_BY] == "i.1"
    # The same attempt again, after a crash or a lost answer.
    assert plan_pause(owner, paused, "i.1") is None
    resumed = patched(paused, plan_resume(owner, paused, "i.1"))
    assert resumed["spec"] == before["spec"]
    assert resumed["metadata"].get("annotations", {}) == before["metadata"].get("annotations", {})
    assert plan_resume(owner, resumed, "i.1") is None


@pytest.mark.parametrize(
    ("owner", "obj"),
    [
        (ARGO, application(None)),
        (ARGO, application({"enabled": False})),
        (FLUX, flux(suspend=True)),
    ],
)
def test_what_a_person_paused_is_left_alone(owner: Owner, obj: Object) -> None:
    assert plan_pause(owner, obj, "i.1") is None
    assert plan_resume(owner, obj, "i.1") is None


@pytest.mark.parametrize(("owner", "before"), [(ARGO, application()), (FLUX, flux())])
def test_the_last_of_two_undos_lets_it_go_on(owner: Owner, before: Object) -> None:
    one = patched(before, plan_pause(owner, before, "a.1"))
    both = patched(one, plan_pause(owner, one, "b.1"))
    assert both["metadata"]["annotations"][PAUSED_BY].split() == ["a.1", "b.1"]
    left = patched(both, plan_resume(owner, both, "a.1"))
    assert not runs_by_itself(owner, left)
    assert patched(left, plan_resume(owner, left, "b.1"))["spec"] == before["spec"]


def test_what_a_person_resumed_with_another_policy_keeps_it() -> None:
    paused = patched(application(), plan_pause(ARGO, application(), "i.1"))
    paused["spec"]["syncPolicy"]["automated"] = {"prune": False}
    resumed = patched(paused, plan_resume(ARGO, paused, "i.1"))
    assert resumed["spec"]["syncPolicy"]["automated"] == {"prune": False}
    assert PAUSED_BY not in resumed["metadata"]["annotations"]
    # Old marks on what runs again are no pause: the present policy is the one to come back to.
    again = patched(paused, plan_pause(ARGO, paused, "i.2"))
    assert again["metadata"]["annotations"][PAUSED_FROM] == '{"prune": false}'
    assert again["metadata"]["annotations"][PAUSED_BY] == "i.2"


@pytest.mark.parametrize("saved", [None, "{", ""])
@pytest.mark.parametrize(("owner", "before"), [(ARGO, application()), (FLUX, flux())])
def test_what_it_did_before_is_not_made_up(owner: Owner, before: Object, saved: str | None) -> None:
    paused = patched(before, plan_pause(owner, before, "i.1"))
    paused["metadata"]["annotations"][PAUSED_FROM] = saved
    with pytest.raises(CanNotResume, match=f"{PAUSED_FROM}.*by hand"):
        plan_resume(owner, paused, "i.1")


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [{"kind": "ApplicationSet", "name": "shops", "controller": True}]},
        {"annotations": {"argocd.argoproj.io/tracking-id": "root:argoproj.io/Application:argocd/shop"}},
        {"labels": {"argocd.argoproj.io/instance": "root"}},
    ],
)
def test_an_application_that_another_object_makes_is_not_paused(metadata: dict[str, Any]) -> None:
    with pytest.raises(CanNotPause, match=r"shops|root"):
        plan_pause(ARGO, application(**metadata), "i.1")


def written(manager: str, field: str) -> dict[str, Any]:
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {field: {}}}}
    return {"managedFields": [entry]}


@pytest.mark.parametrize("manager", ["kustomize-controller", "argocd-controller"])
def test_a_flux_object_whose_maker_says_whether_it_is_suspended_is_not_paused(manager: str) -> None:
    made = flux(suspend=False, **written(manager, "f:suspend"))
    with pytest.raises(CanNotPause, match=manager):
        plan_pause(FLUX, made, "i.1")
    # What its manifest does not mention stays; what it suspends stands still, and goes on doing so.
    assert plan_pause(FLUX, flux(**written(manager, "f:interval")), "i.1") is not None
    assert plan_pause(FLUX, flux(suspend=True, **written(manager, "f:suspend")), "i.1") is None
    assert plan_pause(FLUX, flux(suspend=False, **written("kubectl", "f:suspend")), "i.1") is not None


def test_an_owner_without_a_name_is_not_looked_for() -> None:
    nameless = Owner(OwnerKind.ARGO_CD, "", "", "manager argocd-controller of its template")
    looked = asyncio.run(look_at_owner(cast(Kubernetes, None), nameless, "i.1"))
    assert "no mark on the workload names it" in looked.refusal


def workload() -> Workload:
    return parse_workload({"kind": "Deployment", "metadata": {"name": "app", "namespace": "payments"}})


def compared(status: str, *, after: timedelta, name: str = "app") -> Object:
    paused = patched(application(), plan_pause(ARGO, application(), "i.1"))
    entry = {"group": "apps", "kind": "Deployment", "namespace": "payments", "name": name, "status": status}
    at = (UNDONE_AT + after).isoformat()
    return {**paused, "status": {"reconciledAt": at, "resources": [entry]}}


def why(owner: Owner, obj: Object, runs: Workload | None) -> str | None:
    paused = PausedOwner(
        kind=owner.kind,
        namespace=owner.namespace,
        name=owner.name,
        mark="i.1",
        bad_uid="uid-v2",
        at=UNDONE_AT,
    )
    return why_resume(paused, obj, runs)


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("obj", "resumes"),
    [
        (compared("Synced", after=MINUTE), True),
        (compared("OutOfSync", after=MINUTE), False),
        # Said of the time before the undo, or so shortly after that it may have been looked at before.
        (compared("Synced", after=-MINUTE), False),
        (compared("Synced", after=timedelta(seconds=20)), False),
        (compared("Synced", after=MINUTE, name="other"), False),
    ],
)
def test_in_sync_with_what_serves_it_may_go_on(obj: Object, *, resumes: bool) -> None:
    assert (why(ARGO, obj, workload()) is not None) is resumes
    # Never while the bad revision runs: in sync with that is no reason.
    assert why(ARGO, obj, None) is None


def test_of_flux_only_a_person_can_tell() -> None:
    paused = patched(flux(), plan_pause(FLUX, flux(), "i.1"))
    assert why(FLUX, paused, workload()) is None
    told = patched(paused, {"metadata": {"resourceVersion": "7", "annotations": {RESUME: ""}}})
    assert why(FLUX, told, None) is not None
    resumed = patched(told, plan_resume(FLUX, told, "i.1"))
    assert resumed["metadata"]["annotations"] == {}
    assert why(FLUX, resumed, None) == "somebody resumed it"
