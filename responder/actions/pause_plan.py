"""What to write on an Argo CD or Flux object to pause it around an undo, and to let it go on. Pure.

What it did before is kept on the object itself, in annotations: the undo touches only the workload. Used by
pause.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from responder.errors import Permanent
from responder.workloads.ledger import PausedOwner
from responder.workloads.owners import MANAGERS, PAUSABLE, RESUME, TRACKING_ID, Owner, OwnerKind
from responder.workloads.views import Object, View, parse_time
from responder.workloads.workload import Workload

# Who paused it, one mark an undo, and what it did before the first of them.
PAUSED_BY = "responder.dev/paused-by"
PAUSED_FROM = "responder.dev/paused-from"

_OWN_INSTANCE = "argocd.argoproj.io/instance"
# Who applies manifests again and again, and takes back what somebody else wrote of them.
_APPLIERS = frozenset[str]().union(*(MANAGERS[kind] for kind in PAUSABLE))
# A comparison that ended so shortly after the undo may have begun before it.
_COMPARED_AFTER = timedelta(seconds=30)

# A pause keeps `null` of what was not set.
_UNSAVED = object()

Patch = dict[str, Any]


class CanNotPause(Permanent):
    """The owner can't be paused, or a pause would not last."""


class CanNotResume(Permanent):
    """What the owner did before its pause was lost, and is not made up."""


def plan_pause(owner: Owner, obj: Object, mark: str) -> Patch | None:
    """The merge patch that pauses it for this undo, on exactly the version that was read.

    None where it stands still already: by a person's wish, which stays, or by this very mark. Raises
    CanNotPause where something else would take the pause back.
    """
    _check_lasting(owner, obj)
    marks = marks_on(obj)
    if runs_by_itself(owner, obj):
        saved = json.dumps(_policy(owner, obj), sort_keys=True)
        annotations = {PAUSED_BY: mark, PAUSED_FROM: saved, RESUME: None}
        return _patch(obj, annotations, _stopped(owner))
    if not marks or mark in marks:
        return None
    return _patch(obj, {PAUSED_BY: " ".join([*marks, mark])}, {})


def plan_resume(owner: Owner, obj: Object, mark: str) -> Patch | None:
    """The merge patch that takes this mark away, and with the last one brings back what it did before.

    None where the mark is not there. Where somebody made it run again, only the mark goes.
    Raises CanNotResume where nobody can tell what it did.
    """
    marks = marks_on(obj)
    if mark not in marks:
        return None
    rest = [each for each in marks if each != mark]
    if rest:
        return _patch(obj, {PAUSED_BY: " ".join(rest)}, {})
    annotations = {PAUSED_BY: None, PAUSED_FROM: None, RESUME: None}
    if runs_by_itself(owner, obj):
        return _patch(obj, annotations, {})
    saved = _saved(obj)
    if saved is _UNSAVED:
        raise CanNotResume(
            f"{owner} is paused, and its annotation {PAUSED_FROM} does not say any more what it did before:"
            " let it go on by hand."
        )
    return _patch(obj, annotations, _going(owner, saved))


def runs_by_itself(owner: Owner, obj: Object) -> bool:
    """Whether it brings what Git holds into the cluster without a person.

    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/ (an empty `automated` counts),
    https://fluxcd.io/flux/components/kustomize/kustomizations/#suspend
    """
    if owner.kind is not OwnerKind.ARGO_CD:
        return not View(obj).spec.get("suspend")
    automated = _policy(owner, obj)
    return automated is not None and automated.get("enabled") is not False


def why_resume(paused: PausedOwner, obj: Object, workload: Workload | None) -> str | None:
    """Why this pause need not go on, as a clause; None where it has to, or nobody can tell.

    `workload` is None while it runs the bad revision. Argo CD goes on comparing while it syncs nothing: in
    sync with what serves now, it would change nothing. Flux looks at nothing while it is suspended, so of
    Flux only a person can tell.
    """
    owner = paused.owner
    if RESUME in View(obj).annotations:
        return f"somebody set {RESUME} on it"
    if paused.mark not in marks_on(obj) or runs_by_itself(owner, obj):
        return "somebody resumed it"
    if workload is None or owner.kind is not OwnerKind.ARGO_CD:
        return None
    return "Git holds what serves now" if _in_sync(View(obj), workload, paused.at + _COMPARED_AFTER) else None


def _check_lasting(owner: Owner, obj: Object) -> None:
    """What another object makes gets from there, again and again, what a pause changes.

    An Application gets all of its policy; a Flux object what its maker's manifest says, by server-side apply.
    Source: https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources
    """
    view = View(obj)
    if owner.kind is not OwnerKind.ARGO_CD:
        if view.spec.get("suspend"):
            return
        keepers = (
            each["manager"] for each in view.metadata.get("managedFields") or [] if _sets_suspend(each)
        )
        maker = next((keeper for keeper in keepers if keeper in _APPLIERS), None)
    else:
        makers = [str(each.get("name")) for each in view.metadata.get("ownerReferences") or []]
        tracked = view.annotations.get(TRACKING_ID, "").partition(":")[0] or view.labels.get(_OWN_INSTANCE)
        maker = makers[0] if makers else tracked
    if maker:
        raise CanNotPause(f"{owner} is made by {maker}, which would take a pause back; pause that by hand.")


def _sets_suspend(entry: Object) -> bool:
    """Whether whoever this managedFields entry is of wrote `spec.suspend`, be it false."""
    return "f:suspend" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})


def _in_sync(application: View, workload: Workload, compared_after: datetime) -> bool:
    """Whether Argo CD says so of this very workload, by a comparison that is recent enough.

    Source: https://github.com/argoproj/argo-cd pkg/apis/application/v1alpha1/types.go (ResourceStatus)
    """
    compared = application.status.get("reconciledAt")
    if not compared or parse_time(str(compared)) <= compared_after:
        return False
    wanted = ("apps", workload.kind, workload.namespace, workload.name)
    fields = ("group", "kind", "namespace", "name")
    found = (
        each
        for each in application.status.get("resources") or []
        if tuple(each.get(field) for field in fields) == wanted
    )
    return any(each.get("status") == "Synced" for each in found)


def marks_on(obj: Object) -> list[str]:
    """The marks of the undos that it is paused for, the first one first."""
    return View(obj).annotations.get(PAUSED_BY, "").split()


def _saved(obj: Object) -> Any:
    try:
        return json.loads(View(obj).annotations.get(PAUSED_FROM) or "")
    except ValueError:
        return _UNSAVED


def _policy(owner: Owner, obj: Object) -> Any:
    """What makes it run by itself."""
    spec = View(obj).spec
    if owner.kind is OwnerKind.ARGO_CD:
        return (spec.get("syncPolicy") or {}).get("automated")
    return spec.get("suspend")


def _stopped(owner: Owner) -> Patch:
    return _going(owner, None) if owner.kind is OwnerKind.ARGO_CD else {"suspend": True}


def _going(owner: Owner, policy: Any) -> Patch:
    if owner.kind is OwnerKind.ARGO_CD:
        return {"syncPolicy": {"automated": policy}}
    return {"suspend": policy}


def _patch(obj: Object, annotations: Mapping[str, str | None], spec: Patch) -> Patch:
    metadata = {"resourceVersion": View(obj).resource_version, "annotations": dict(annotations)}
    return {"metadata": metadata, "spec": spec} if spec else {"metadata": metadata}
