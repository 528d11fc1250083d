"""Who else decides what a workload runs: GitOps tools, Helm, progressive delivery, operators. Pure.

Told from the marks on the workload, and from the objects of its namespace that say they drive it. An undo
beside such an owner is drift to it; what is done about that is for the guards and for actions/pause.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from responder.workloads.views import Object, View

TRACKING_ID = "argocd.argoproj.io/tracking-id"
INSTANCE_LABELS = ("argocd.argoproj.io/instance", "app.kubernetes.io/instance")
# Where Argo CD keeps its Applications unless the mark names another namespace.
# Source: https://argo-cd.readthedocs.io/en/stable/getting_started/
ARGO_CD_NAMESPACE = "argocd"
_KUSTOMIZATION = "kustomize.toolkit.fluxcd.io"
_HELM_RELEASE = "helm.toolkit.fluxcd.io"
_HELM_NAME, _HELM_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_MANAGED_BY = "app.kubernetes.io/managed-by"
# The second where its controller writes without server-side apply.
_ARGO_CD_MANAGERS = frozenset({"argocd-controller", "argocd-application-controller"})


class OwnerKind(StrEnum):
    """Every kind of owner that is recognised."""

    ARGO_CD = "Argo CD Application"
    KUSTOMIZATION = "Flux Kustomization"
    HELM_RELEASE = "Flux HelmRelease"
    HELM = "Helm release"
    FLAGGER = "Flagger Canary"
    ARGO_ROLLOUTS = "Argo Rollout"
    CONTROLLER = "controller"


# On an owner that the responder paused, set by a person: let it go on, whatever Git holds.
RESUME = "responder.dev/resume"
# Why a proof or an incident says that the bad template is back: somebody whose marks the workload bears wrote
# it, or anybody else.
REVERTED_BY_OWNER, REVERTED_BY_ANOTHER = "RevertedByOwner", "RevertedByAnother"
REVERTED = frozenset({REVERTED_BY_OWNER, REVERTED_BY_ANOTHER})
# By what name the responder itself writes: the first part of its User-Agent.
OUR_MANAGER = "responder"
# By what name each writes. Source: the tools' own defaults, seen in managedFields.
MANAGERS = {
    OwnerKind.ARGO_CD: _ARGO_CD_MANAGERS,
    OwnerKind.KUSTOMIZATION: frozenset({"kustomize-controller"}),
    OwnerKind.HELM_RELEASE: frozenset({"helm-controller"}),
    OwnerKind.HELM: frozenset({"helm"}),
    OwnerKind.FLAGGER: frozenset({"flagger"}),
    OwnerKind.ARGO_ROLLOUTS: frozenset({"rollouts-controller"}),
    OwnerKind.CONTROLLER: frozenset[str](),
}
PAUSABLE = frozenset({OwnerKind.ARGO_CD, OwnerKind.KUSTOMIZATION, OwnerKind.HELM_RELEASE})
# They move traffic and replicas by steps of their own, which an undo underneath starts anew or turns void.
DRIVING = frozenset({OwnerKind.FLAGGER, OwnerKind.ARGO_ROLLOUTS})


@dataclass(frozen=True, slots=True)
class Owner:
    """Who decides, and the mark that says so. `name` is empty where no mark tells it."""

    kind: OwnerKind
    namespace: str
    name: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.name else f"an unnamed {self.kind}"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who last wrote a workload's pod template, by its managedFields."""

    manager: str
    operation: str
    at: str


def find_owners(workload: Object, drivers: Iterable[Object] = ()) -> tuple[Owner, ...]:
    """Everybody who decides what the workload runs, those that drive it first; empty where nobody does.

    `drivers` are Canaries and Rollouts of its namespace, by which alone a Deployment may be driven that
    bears no mark itself. Source: https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/,
    https://fluxcd.io/flux/components/, https://docs.flagger.app/usage/how-it-works,
    https://argo-rollouts.readthedocs.io/en/stable/migrating/
    """
    view = View(workload)
    found = (
        *_driving(view, drivers),
        *_controlling(view),
        _argo_cd(view),
        _flux(view, OwnerKind.KUSTOMIZATION, _KUSTOMIZATION),
        _flux(view, OwnerKind.HELM_RELEASE, _HELM_RELEASE) or _helm(view),
    )
    return tuple(dict.fromkeys(owner for owner in found if owner is not None))


def how_to_resume(owner: Owner) -> str:
    """What a person types to let a paused owner go on; a KeyError for one that can't be paused."""
    kind = {
        OwnerKind.ARGO_CD: "applications.argoproj.io",
        OwnerKind.KUSTOMIZATION: "kustomizations.kustomize.toolkit.fluxcd.io",
        OwnerKind.HELM_RELEASE: "helmreleases.helm.toolkit.fluxcd.io",
    }[owner.kind]
    return f"kubectl -n {owner.namespace} annotate {kind} {owner.name} {RESUME}=now"


def last_writer(workload: Object) -> Writer | None:
    """Who wrote the pod template last; None where the server does not say."""
    entries = _template_entries(View(workload))
    if not entries:
        return None
    # Times are whole seconds: within one, whoever wrote beside us wrote after us.
    latest = max(entries, key=lambda entry: (str(entry.get("time", "")), entry["manager"] != OUR_MANAGER))
    return Writer(str(latest["manager"]), str(latest["operation"]), str(latest.get("time", "")))


def _template_entries(view: View) -> list[Object]:
    """The managedFields of everybody who has a part in the pod template."""
    return [
        entry
        for entry in view.metadata.get("managedFields") or []
        if "f:template" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]


def _driving(view: View, drivers: Iterable[Object]) -> Iterable[Owner]:
    """A Canary owns or names it, or a Rollout names it."""
    for reference in view.metadata.get("ownerReferences") or []:
        if reference.get("kind") == "Canary":
            yield Owner(OwnerKind.FLAGGER, view.namespace, str(reference["name"]), "its ownerReferences")
    for driver in map(View, drivers):
        field, kind = ("targetRef", OwnerKind.FLAGGER)
        if driver.raw.get("kind") == "Rollout":
            field, kind = ("workloadRef", OwnerKind.ARGO_ROLLOUTS)
        meant = driver.spec.get(field) or {}
        if (meant.get("kind"), meant.get("name")) == (view.raw.get("kind"), view.name):
            yield Owner(kind, view.namespace, driver.name, f"the spec.{field} of {driver.name}")


def _controlling(view: View) -> Iterable[Owner]:
    """An operator made it."""
    for reference in view.metadata.get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") != "Canary":
            kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
            yield Owner(OwnerKind.CONTROLLER, view.namespace, f"{kind}/{name}", "its ownerReferences")


def _argo_cd(view: View) -> Owner | None:
    """The tracking id where it means this very object; else an instance label that Argo CD wrote or uses.

    A tracking id that was copied from another object says nothing, and Argo CD ignores it as well. Under
    another label, of its settings' choice, its name is not to be found; but that it wrote the template is.
    """
    application, _, meant = view.annotations.get(TRACKING_ID, "").partition(":")
    if application and meant == f"apps/{view.raw.get('kind')}:{view.namespace}/{view.name}":
        return _application(application, f"annotation {TRACKING_ID}")
    own, common = INSTANCE_LABELS
    if own in view.labels:
        return _application(view.labels[own], f"label {own}")
    # Charts set the common label too: it alone says nothing.
    entries = view.metadata.get("managedFields") or []
    wrote = next((each["manager"] for each in entries if each.get("manager") in _ARGO_CD_MANAGERS), None)
    if wrote is not None and common in view.labels:
        return _application(view.labels[common], f"label {common} and manager {wrote}")
    wrote = next(
        (name for each in _template_entries(view) if (name := each["manager"]) in _ARGO_CD_MANAGERS), None
    )
    return None if wrote is None else Owner(OwnerKind.ARGO_CD, "", "", f"manager {wrote} of its template")


def _application(name: str, evidence: str) -> Owner:
    """An Application outside Argo CD's own namespace is tracked as NAMESPACE_NAME."""
    namespace, sep, rest = name.partition("_")
    place, called = (namespace, rest) if sep else (ARGO_CD_NAMESPACE, name)
    return Owner(OwnerKind.ARGO_CD, place, called, evidence)


def _flux(view: View, kind: OwnerKind, group: str) -> Owner | None:
    name, namespace = view.labels.get(f"{group}/name"), view.labels.get(f"{group}/namespace")
    return Owner(kind, namespace, name, f"label {group}/name") if name and namespace else None


def _helm(view: View) -> Owner | None:
    """Label and annotations together: charts that others render bear the label alone."""
    name = view.annotations.get(_HELM_NAME)
    if view.labels.get(_MANAGED_BY) != "Helm" or not name:
        return None
    return Owner(OwnerKind.HELM, view.annotations.get(_HELM_NAMESPACE, view.namespace), name, _HELM_NAME)
