"""The undo as one JSON patch: what `kubectl rollout undo` does, with preconditions. Pure.

Departs from kubectl in one way: it never replaces the annotation map. kubectl writes the target ReplicaSet's
annotations over a Deployment's and so loses every annotation added since, also one that is added between
its read and its write. Here only change-cause moves with the revision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from responder.errors import Permanent
from responder.workloads.revision import Revision
from responder.workloads.templates import Template, same_template, without_hash
from responder.workloads.views import CHANGE_CAUSE, FENCE, FREEZE
from responder.workloads.workload import Workload

Operation = dict[str, Any]


class NothingToUndo(Permanent):
    """The target's template is the current one: a patch would change nothing."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The fence label's value to replace, None where it has none yet, and the one to set."""

    before: str | None
    after: str


def plan_undo(
    workload: Workload, target: Revision, fence: Fence, *, freeze_overruled: bool = False
) -> list[Operation]:
    """The patch that brings back the target's template, if nothing has changed since `workload` was read.

    A freeze mark stops it unless a person overruled it or it has ended. Raises NothingToUndo when the
    templates are equal. Source: kubectl pkg/polymorphichelpers/rollback.go for the template; the tests are
    ours.
    """
    if same_template(workload.template, target.template):
        raise NothingToUndo(
            f"Revision {target.name} has the template that {workload} runs already: there is nothing to undo."
        )
    return [
        {"op": "test", "path": "/metadata/uid", "value": workload.uid},
        {"op": "test", "path": "/spec/template", "value": workload.template},
        *_rolls_out(workload),
        *(_frozen_as_read(workload) if freeze_overruled else _unfrozen(workload)),
        *move_fence(workload, fence),
        {"op": "replace", "path": "/spec/template", "value": without_hash(target.template)},
        *_change_cause(workload, target),
    ]


def move_fence(workload: Workload, fence: Fence) -> list[Operation]:
    """Test the fence's old value and set the new one, in the labels: kubectl's undo leaves those alone."""
    path = f"/metadata/labels/{_escape(FENCE)}"
    if not workload.labels:
        return [
            {"op": "test", "path": "/metadata/labels", "value": None},
            {"op": "add", "path": "/metadata/labels", "value": {FENCE: fence.after}},
        ]
    return [
        {"op": "test", "path": path, "value": fence.before},
        {"op": "add", "path": path, "value": fence.after},
    ]


def undone(workload: Workload, target: Template, fence: str) -> bool:
    """True when the workload carries exactly this attempt: its fence and the target's template."""
    return workload.fence == fence and same_template(workload.template, target)


def explain_refusal(workload: Workload, judged: Template, fence: Fence, *, frozen: bool) -> tuple[str, str]:
    """Why the patch's tests did not hold, by what the workload looks like now: a reason and a sentence.

    The server's answer to a failed test names no test.
    """
    name = str(workload)
    if not same_template(workload.template, judged):
        return "TemplateChanged", f"Somebody changed the template of {name} just before the undo."
    if workload.paused:
        return "Paused", f"Somebody paused {name} just before the undo."
    if workload.rolls_on_delete:
        return "UpdatesOnDelete", f"Somebody set the update strategy of {name} to OnDelete before the undo."
    if frozen:
        return "Frozen", f"Somebody froze {name} just before the undo."
    if workload.fence != fence.before:
        return "FencedByAnother", f"Another attempt fenced {name}: its {FENCE} is {workload.fence}."
    return "ChangedMeanwhile", f"{name} changed between the read and the undo, and back."


def _rolls_out(workload: Workload) -> list[Operation]:
    """What its controller needs to carry the undo out."""
    if workload.kind == "Deployment":
        # A test against null holds where the member is absent; false is never stored.
        return [{"op": "test", "path": "/spec/paused", "value": None}]
    return [{"op": "test", "path": "/spec/updateStrategy/type", "value": "RollingUpdate"}]


def _unfrozen(workload: Workload) -> list[Operation]:
    if not workload.annotations:
        return [{"op": "test", "path": "/metadata/annotations", "value": None}]
    return [{"op": "test", "path": f"/metadata/annotations/{_escape(FREEZE)}", "value": None}]


def _frozen_as_read(workload: Workload) -> list[Operation]:
    path = f"/metadata/annotations/{_escape(FREEZE)}"
    return [{"op": "test", "path": path, "value": workload.annotations[FREEZE]}]


def _change_cause(workload: Workload, target: Revision) -> list[Operation]:
    """Of a Deployment alone, as kubectl does: elsewhere the revisions keep it, and nothing copies it back."""
    if workload.kind != "Deployment":
        return []
    path = f"/metadata/annotations/{_escape(CHANGE_CAUSE)}"
    if target.change_cause is not None:
        if not workload.annotations:
            return [
                {"op": "add", "path": "/metadata/annotations", "value": {CHANGE_CAUSE: target.change_cause}}
            ]
        return [{"op": "add", "path": path, "value": target.change_cause}]
    return [{"op": "remove", "path": path}] if CHANGE_CAUSE in workload.annotations else []


def _escape(key: str) -> str:
    """A key inside a JSON pointer. Source: RFC 6901, section 3."""
    return key.replace("~", "~0").replace("/", "~1")
