"""Pausing the one Argo CD or Flux object that deploys a workload, and letting it go on.

Safe to call again: each undo leaves its own mark on the object and recognises it. Called by pipeline.
"""

from __future__ import annotations

from collections.abc import Callable

from responder.actions.pause_plan import (
    CanNotPause,
    Patch,
    plan_pause,
    plan_resume,
)
from responder.clients.kubernetes import (
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    Kubernetes,
    NotFound,
    Object,
    OutcomeUnknown,
    paths,
)
from responder.errors import Temporary
from responder.rules.facts import Pausing
from responder.workloads.owners import Owner, OwnerKind

# Argo CD writes the status of an Application every few seconds, and each write moves its version.
_MOST_TRIES = 8
_COMPONENTS = {
    OwnerKind.ARGO_CD: "deploy/components/argo-cd",
    OwnerKind.KUSTOMIZATION: "deploy/components/flux",
    OwnerKind.HELM_RELEASE: "deploy/components/flux",
}
_PATHS: dict[OwnerKind, Callable[[str, str], str]] = {
    OwnerKind.ARGO_CD: paths.application,
    OwnerKind.KUSTOMIZATION: paths.kustomization,
    OwnerKind.HELM_RELEASE: paths.helmrelease,
}


async def look_at_owner(kubernetes: Kubernetes, owner: Owner, mark: str) -> Pausing:
    """What a pause would meet: it is read and tried without effect. An answer that fails to come is told."""
    if not owner.name:
        return Pausing(refusal="no mark on the workload names it, so that one is to be paused by hand.")
    try:
        patch = plan_pause(owner, await read_owner(kubernetes, owner), mark)
        if patch is None:
            return Pausing(needed=False)
        await kubernetes.merge_patch(_path(owner), patch, dry_run=True)
    except Conflict:
        return Pausing()  # its version moved, which the pause itself reads anew
    except (CanNotPause, Forbidden, NotFound, Invalid, paths.InvalidName) as error:
        return Pausing(refusal=_explain(owner, error))
    except (ApiError, Temporary) as error:
        return Pausing(untold=str(error))
    return Pausing()


async def pause_owner(kubernetes: Kubernetes, owner: Owner, mark: str) -> None:
    """Pause it for this undo, or see that it stands still.

    Raises CanNotPause where that is not to be had, and Temporary to be called again.
    """
    try:
        await _write(kubernetes, owner, lambda obj: plan_pause(owner, obj, mark))
    except (Forbidden, NotFound, Invalid, paths.InvalidName) as error:
        raise CanNotPause(_explain(owner, error)) from error


async def resume_owner(kubernetes: Kubernetes, owner: Owner, mark: str) -> None:
    """Take this undo's pause back; one that is gone or was resumed needs nothing.

    Raises ApiError, and CanNotResume where nobody can tell any more what it did before.
    """
    try:
        await _write(kubernetes, owner, lambda obj: plan_resume(owner, obj, mark))
    except NotFound:
        return


async def read_owner(kubernetes: Kubernetes, owner: Owner) -> Object:
    """The owner as it is now. Raises NotFound, Forbidden and the client's other errors."""
    return await kubernetes.get(_path(owner))


async def _write(kubernetes: Kubernetes, owner: Owner, plan: Callable[[Object], Patch | None]) -> None:
    """Read, plan, patch that very version; again when it moved or the answer was lost."""
    for _ in range(_MOST_TRIES):
        patch = plan(await read_owner(kubernetes, owner))
        if patch is None:
            return
        try:
            await kubernetes.merge_patch(_path(owner), patch)
        except (Conflict, OutcomeUnknown):
            continue
        return
    raise Temporary(f"{owner} kept changing while it was to be paused or resumed.")


def _explain(owner: Owner, error: Exception) -> str:
    if isinstance(error, Forbidden):
        return f"the responder has no right to: add the component {_COMPONENTS[owner.kind]} ({error})"
    if isinstance(error, NotFound):
        return f"there is no {owner} that could be paused."
    return str(error)


def _path(owner: Owner) -> str:
    return _PATHS[owner.kind](owner.namespace, owner.name)
