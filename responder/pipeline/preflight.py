"""Looking ahead of an undo: is there what the target needs, would the server take the patch? Decides nothing.

Called by replies.py beside the questions to Prometheus, so that it takes no time of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from responder.actions.undo import Fence, NothingToUndo, Operation, plan_undo
from responder.clients.kubernetes import ApiError, Forbidden, Invalid, Kubernetes, NotFound, Object, paths
from responder.rules.facts import Preflight
from responder.tasks import together
from responder.workloads.references import ACCOUNT, CLAIM, CONFIG_MAP, SECRET, Reference, find_references
from responder.workloads.revision import Revision
from responder.workloads.templates import Template, same_template
from responder.workloads.views import FREEZE
from responder.workloads.workload import Workload, parse_workload

# A template that names more has them looked at up to here; what was not is told.
_MOST_REFERENCES = 50

_PATHS = {
    CONFIG_MAP: paths.configmap,
    SECRET: paths.secret,
    CLAIM: paths.persistentvolumeclaim,
    ACCOUNT: paths.serviceaccount,
}


@dataclass(frozen=True, slots=True)
class _DryRun:
    """What the server says to the patch; all empty when it takes it as it is."""

    tried: bool = True
    refusal: str = ""
    untold: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: the patch of the workload at `path`, None where there can be none, and its template."""

    path: str
    namespace: str
    patch: list[Operation] | None
    template: Template


def plan_trial(workload: Workload, target: Revision, fence: Fence) -> Trial:
    """The very patch of the undo, apart from a freeze, which guards of its own look at."""
    path = paths.workload(workload.kind, workload.namespace, workload.name)
    return Trial(path, workload.namespace, _plan(workload, target, fence), target.template)


def _plan(workload: Workload, target: Revision, fence: Fence) -> list[Operation] | None:
    if workload.paused or workload.terminating:
        return None
    try:
        return plan_undo(workload, target, fence, freeze_overruled=FREEZE in workload.annotations)
    except NothingToUndo:
        return None


async def look_ahead(kubernetes: Kubernetes, trial: Trial, *, secrets: bool) -> Preflight:
    """What stands in the way of going back to the target. Secrets are read only where `secrets` says so.

    Raises the Kubernetes client's errors for objects that can't be read, other than for want of a right.
    """
    references = find_references(trial.template)
    looked = [each for each in references[:_MOST_REFERENCES] if secrets or each.kind != SECRET]
    async with together() as group:
        trying = group.create_task(_try(kubernetes, trial))
        reading = {each: group.create_task(_missing(kubernetes, trial.namespace, each)) for each in looked}
    answers = {each: task.result() for each, task in reading.items()}
    unknown = [each for each in references if answers.get(each) is None]
    # A Secret nobody may look at is as usual as one that nobody is to look at.
    unseen = [each for each in unknown if each.kind == SECRET and (each in answers or not secrets)]
    tried = trying.result()
    return Preflight(
        found=tuple(str(each) for each in looked if answers[each] == ()),
        missing=tuple(text for each in looked for text in answers[each] or ()),
        unseen=tuple(str(each) for each in unseen),
        unread=tuple(str(each) for each in unknown if each not in unseen),
        tried=tried.tried,
        refusal=tried.refusal,
        untold=tried.untold,
        changed=tried.changed,
    )


async def _missing(kubernetes: Kubernetes, namespace: str, reference: Reference) -> tuple[str, ...] | None:
    """What of it is missing, in words; None where nobody may look."""
    try:
        found = await kubernetes.get(_PATHS[reference.kind](namespace, reference.name))
    except NotFound:
        return (str(reference),)
    except Forbidden:
        return None
    held = _keys(found)
    return tuple(f"key {key} of {reference}" for key in reference.keys if key not in held)


def _keys(obj: Object) -> set[str]:
    return {*(obj.get("data") or {}), *(obj.get("binaryData") or {})}


async def _try(kubernetes: Kubernetes, trial: Trial) -> _DryRun:
    if trial.patch is None:
        return _DryRun(tried=False)
    try:
        answer = await kubernetes.json_patch(trial.path, trial.patch, dry_run=True)
    except NotFound as error:
        return _DryRun(untold=str(error))
    except Invalid as error:
        if error.failed_test:
            return _DryRun(untold="The workload changed while this was tried.")
        return _DryRun(refusal=str(error))
    except Forbidden as error:
        return _DryRun(refusal=str(error))
    except ApiError as error:
        # Among them a webhook that is down (500), or that does not say what it does to dry runs (400).
        return _DryRun(untold=str(error))
    return _DryRun(changed=not same_template(parse_workload(answer).template, trial.template))
