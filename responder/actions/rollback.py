"""Carrying out an undo whose intent is recorded, and finding out what became of it.

Safe to call again: an attempt is recognised on the workload by its fence and template. Called by pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from responder.actions.undo import (
    Fence,
    NothingToUndo,
    Operation,
    explain_refusal,
    move_fence,
    plan_undo,
    undone,
)
from responder.clients.kubernetes import (
    Forbidden,
    Invalid,
    Kubernetes,
    NotFound,
    Object,
    OutcomeUnknown,
    paths,
)
from responder.errors import Temporary
from responder.incidents.model import Incident, Rollback
from responder.rules.facts import Freeze
from responder.tasks import together
from responder.workloads.freeze import frozen
from responder.workloads.history import History, parse_history
from responder.workloads.key import WorkloadKey
from responder.workloads.templates import Template
from responder.workloads.views import FREEZE
from responder.workloads.workload import Workload, parse_workload


@dataclass(frozen=True, slots=True)
class Attempt:
    """The undo that was decided: of which workload, from which revision to which, under which fence.

    A freeze that had ended by `tried_at` is none. The last three are as they were when it was intended: the
    workload's generation (None where it was not recorded), the bad revision's number, and the time.
    """

    key: WorkloadKey
    workload_uid: str
    bad_uid: str
    target_uid: str
    fence: Fence
    freezes_overruled: tuple[str, ...]
    tried_at: datetime
    generation: int | None
    bad_number: int | None
    intended_at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """The workload carries the attempt. `generation` is the answer's, for the proof."""

    generation: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt had no effect: the world is not the one that was judged. Judge again."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The attempt can't have an effect: the server does not allow or accept it. A person has to act."""

    reason: str
    message: str


Result = Applied | Refused | Rejected
Patch = tuple[Workload, list[Operation]]


def attempt_of(incident: Incident, rollback: Rollback, tried_at: datetime) -> Attempt:
    """The undo that was intended, as it is tried now."""
    return Attempt(
        key=incident.key,
        workload_uid=rollback.deployment_uid,
        bad_uid=rollback.bad.uid,
        target_uid=rollback.target.uid,
        fence=Fence(rollback.previous_fence, incident.fence(rollback.attempt)),
        freezes_overruled=rollback.freezes_overruled,
        tried_at=tried_at,
        generation=rollback.generation,
        bad_number=rollback.bad.revision,
        intended_at=rollback.intended_at,
    )


async def roll_back(kubernetes: Kubernetes, attempt: Attempt, history: History | None = None) -> Result:
    """Send the attempt's patch, or recognise that it was applied before.

    `history` is what was read for the judgement, for the first try only: a repeated one reads anew.
    Raises Temporary when the server can't be asked, or when the answer was lost and nothing shows the effect:
    call again, the preconditions make that safe.
    """
    world = _plan(attempt, history or await read_history(kubernetes, attempt.key))
    if isinstance(world, Applied | Refused):
        return world
    workload, operations = world
    try:
        answer = await kubernetes.json_patch(_path(attempt.key), operations)
    except OutcomeUnknown as error:
        return await _recognise_or_retry(kubernetes, attempt, error)
    except NotFound as error:
        return Refused("WorkloadNotFound", str(error))
    except Forbidden as error:
        return Rejected("Forbidden", str(error))
    except Invalid as error:
        if not error.failed_test:
            return Rejected("PatchNotAccepted", str(error))
        return await _explain(kubernetes, attempt, workload.template)
    return Applied(parse_workload(answer).generation)


async def void(kubernetes: Kubernetes, attempt: Attempt) -> Applied | None:
    """Make sure that a patch of this attempt still under way can't take effect any more.

    None: the fence is voided (or the workload is gone). Applied: it had taken effect after all. Raises
    Temporary to be called again, Forbidden or Invalid when the server does not let the fence be moved.
    """
    after = f"{attempt.fence.after}-void"
    try:
        workload = parse_workload(await kubernetes.get(_path(attempt.key)))
    except NotFound:
        return None
    if workload.uid != attempt.workload_uid:
        return None  # made anew: the test of the uid can't hold any more
    if workload.fence == attempt.fence.after:
        return Applied(workload.generation)
    if workload.fence != attempt.fence.before:
        return None  # already voided, or fenced by somebody newer: our test can't hold any more
    operations = move_fence(workload, Fence(attempt.fence.before, after))
    try:
        await kubernetes.json_patch(_path(attempt.key), operations)
    except Invalid as error:
        if not error.failed_test:
            raise
        raise Temporary(f"The fence of {attempt.key} moved while it was voided: {error}") from error
    except OutcomeUnknown as error:
        raise Temporary(f"Whether the fence of {attempt.key} was voided is not known: {error}") from error
    return None


async def read_history(kubernetes: Kubernetes, key: WorkloadKey) -> History | None:
    """The workload with its revisions as they are now, without counting pods; None when it is gone."""
    async with together() as group:
        workload = group.create_task(_read_workload(kubernetes, key))
        revisions = group.create_task(kubernetes.list(paths.revisions(key.kind, key.namespace)))
    found = workload.result()
    return None if found is None else parse_history(found, revisions.result().items)


async def _read_workload(kubernetes: Kubernetes, key: WorkloadKey) -> Object | None:
    try:
        return await kubernetes.get(_path(key))
    except NotFound:
        return None


def _plan(attempt: Attempt, history: History | None) -> Applied | Refused | Patch:
    """The patch to send for the world as it was read, or the answer when nothing is to be sent."""
    if history is None:
        return Refused("WorkloadNotFound", f"There is no {attempt.key} any more.")
    workload = history.workload
    if workload.uid != attempt.workload_uid:
        # It may have adopted the ReplicaSets, but nobody has judged it.
        return Refused("WorkloadRecreated", f"The {attempt.key} was deleted and made anew before the undo.")
    target = history.by_uid(attempt.target_uid)
    if target is None:
        return Refused("TargetGone", f"The revision to go back to is gone from the history of {attempt.key}.")
    if undone(workload, target.template, attempt.fence.after):
        return Applied(workload.generation)
    current = history.current
    if current is None or current.uid != attempt.bad_uid or workload.fence != attempt.fence.before:
        bad = history.by_uid(attempt.bad_uid)
        judged = workload.template if bad is None else bad.template
        return Refused(*explain_refusal(workload, judged, attempt.fence, frozen=_frozen(attempt, workload)))
    try:
        passed_over = FREEZE in workload.annotations and not _frozen(attempt, workload)
        operations = plan_undo(workload, target, attempt.fence, freeze_overruled=passed_over)
    except NothingToUndo as error:
        return Refused("NothingToUndo", str(error))
    return workload, operations


def _frozen(attempt: Attempt, workload: Workload) -> bool:
    """Whether the workload carries a freeze that counts: not over, nor seen by the person who decided."""
    value = frozen(workload.raw, attempt.tried_at)
    return value is not None and Freeze(str(attempt.key), value).digest not in attempt.freezes_overruled


async def _recognise_or_retry(kubernetes: Kubernetes, attempt: Attempt, error: OutcomeUnknown) -> Result:
    """After a lost answer: what the workload itself says."""
    world = _plan(attempt, await read_history(kubernetes, attempt.key))
    match world:
        case Applied() | Refused():
            return world
        case tuple():
            raise Temporary(f"The undo of {attempt.key} shows no effect yet: {error}") from error
        case _:
            assert_never(world)


async def _explain(kubernetes: Kubernetes, attempt: Attempt, judged: Template) -> Result:
    """After a failed test: applied by an earlier try of ours, or refused, and why."""
    world = _plan(attempt, await read_history(kubernetes, attempt.key))
    if isinstance(world, Applied | Refused):
        return world
    workload, _ = world
    return Refused(*explain_refusal(workload, judged, attempt.fence, frozen=_frozen(attempt, workload)))


def _path(key: WorkloadKey) -> str:
    return paths.workload(key.kind, key.namespace, key.name)
