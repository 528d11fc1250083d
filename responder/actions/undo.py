"""The undo as one JSON patch: what `kubectl rollout undo` does, with preconditions. Pure.

Departs from kubectl in one way: it never replaces the annotation map. kubectl writes the target ReplicaSet's
annotations over the Deployment's and so loses every annotation added since, also one that is added between
its read and its write. Here only change-cause moves with the revision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from responder.errors import Permanent
from responder.workloads.templates import Template, same_template, without_hash
from responder.workloads.views import CHANGE_CAUSE, FENCE, FREEZE, Deployment, ReplicaSet

Operation = dict[str, Any]


class NothingToUndo(Permanent):
    """The target's template is the current one: a patch would change nothing."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The fence label's value to replace, None where it has none yet, and the one to set."""

    before: str | None
    after: str


def plan_undo(
    deployment: Deployment, target: ReplicaSet, fence: Fence, *, freeze_overruled: bool = False
) -> list[Operation]:
    """The patch that brings back the target's template, if nothing has changed since `deployment` was read.

    A freeze mark stops it unless a person overruled the freeze. Raises NothingToUndo when the templates are
    equal. Source: kubectl pkg/polymorphichelpers/rollback.go for the template; the tests are ours.
    """
    if same_template(deployment.template, target.template):
        raise NothingToUndo(
            f"Revision {target.name} has the template that deployment"
            f" {deployment.namespace}/{deployment.name} runs already: there is nothing to undo."
        )
    return [
        {"op": "test", "path": "/metadata/uid", "value": deployment.uid},
        {"op": "test", "path": "/spec/template", "value": deployment.template},
        # A test against null holds where the member is absent; false is never stored.
        {"op": "test", "path": "/spec/paused", "value": None},
        *(_frozen_as_read(deployment) if freeze_overruled else _unfrozen(deployment)),
        *move_fence(deployment, fence),
        {"op": "replace", "path": "/spec/template", "value": without_hash(target.template)},
        *_change_cause(deployment, target),
    ]


def move_fence(deployment: Deployment, fence: Fence) -> list[Operation]:
    """Test the fence's old value and set the new one, in the labels: kubectl's undo leaves those alone."""
    path = f"/metadata/labels/{_escape(FENCE)}"
    if not deployment.labels:
        return [
            {"op": "test", "path": "/metadata/labels", "value": None},
            {"op": "add", "path": "/metadata/labels", "value": {FENCE: fence.after}},
        ]
    return [
        {"op": "test", "path": path, "value": fence.before},
        {"op": "add", "path": path, "value": fence.after},
    ]


def undone(deployment: Deployment, target: Template, fence: str) -> bool:
    """True when the Deployment carries exactly this attempt: its fence and the target's template."""
    return deployment.fence == fence and same_template(deployment.template, target)


def explain_refusal(deployment: Deployment, judged: Template, fence: Fence) -> tuple[str, str]:
    """Why the patch's tests did not hold, by what the Deployment looks like now: a reason and a sentence.

    The server's answer to a failed test names no test.
    """
    name = f"deployment {deployment.namespace}/{deployment.name}"
    if not same_template(deployment.template, judged):
        return "TemplateChanged", f"Somebody changed the template of {name} just before the undo."
    if deployment.paused:
        return "Paused", f"Somebody paused {name} just before the undo."
    if FREEZE in deployment.annotations:
        return "Frozen", f"Somebody froze {name} just before the undo."
    if deployment.fence != fence.before:
        return "FencedByAnother", f"Another attempt fenced {name}: its {FENCE} is {deployment.fence}."
    return "ChangedMeanwhile", f"{name} changed between the read and the undo, and back."


def _unfrozen(deployment: Deployment) -> list[Operation]:
    if not deployment.annotations:
        return [{"op": "test", "path": "/metadata/annotations", "value": None}]
    return [{"op": "test", "path": f"/metadata/annotations/{_escape(FREEZE)}", "value": None}]


def _frozen_as_read(deployment: Deployment) -> list[Operation]:
    path = f"/metadata/annotations/{_escape(FREEZE)}"
    return [{"op": "test", "path": path, "value": deployment.annotations[FREEZE]}]


def _change_cause(deployment: Deployment, target: ReplicaSet) -> list[Operation]:
    path = f"/metadata/annotations/{_escape(CHANGE_CAUSE)}"
    if target.change_cause is not None:
        if not deployment.annotations:
            return [
                {"op": "add", "path": "/metadata/annotations", "value": {CHANGE_CAUSE: target.change_cause}}
            ]
        return [{"op": "add", "path": path, "value": target.change_cause}]
    return [{"op": "remove", "path": path}] if CHANGE_CAUSE in deployment.annotations else []


def _escape(key: str) -> str:
    """A key inside a JSON pointer. Source: RFC 6901, section 3."""
    return key.replace("~", "~0").replace("/", "~1")
