"""The Deployment's rollback of old: an annotation that asks the controller itself to bring a revision back.

Pure. Called by the Deployment controller. Clients of apps/v1 undo by a patch instead; the annotation is what
the rollback of older API versions is stored as.
Source: Kubernetes pkg/controller/deployment/rollback.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from responder.sandbox.api.objects import Object, copied, name_of
from responder.sandbox.controllers.fields import annotations_of
from responder.sandbox.controllers.revisions import (
    NOT_COPIED,
    ROLLBACK_TO,
    integer_annotation,
    revision_of,
)
from responder.sandbox.controllers.templates import POD_TEMPLATE_HASH, equal_templates


@dataclass(frozen=True, slots=True)
class Rollback:
    """What comes of the request: the Deployment without it, rolled back or not, and the Event that tells."""

    deployment: Object
    reason: str
    message: str
    done: bool


def is_asked(deployment: Object) -> bool:
    """Whether the Deployment carries the annotation with a number in it."""
    return integer_annotation(deployment, ROLLBACK_TO) is not None


def rolled_back(deployment: Object, replica_sets: Sequence[Object]) -> Rollback:
    """Take the revision asked for, 0 being the one before the latest, and clear the request."""
    asked = integer_annotation(deployment, ROLLBACK_TO) or 0
    revision = asked or _last_but_one(replica_sets)
    result: Object = copied(deployment)
    result["metadata"]["annotations"] = {
        key: value for key, value in annotations_of(deployment).items() if key != ROLLBACK_TO
    }
    target = next((each for each in replica_sets if revision and revision_of(each) == revision), None)
    if target is None:
        missing = "the revision to rollback to" if asked else "last revision"
        return Rollback(result, "DeploymentRollbackRevisionNotFound", f"Unable to find {missing}.", False)
    if equal_templates(target["spec"]["template"], deployment["spec"]["template"]):
        same = (
            f'The rollback revision contains the same template as current deployment "{name_of(deployment)}"'
        )
        return Rollback(result, "DeploymentRollbackTemplateUnchanged", same, False)
    template: Object = copied(target["spec"]["template"])
    template["metadata"]["labels"].pop(POD_TEMPLATE_HASH, None)
    result["spec"]["template"] = template
    own = {key: value for key, value in annotations_of(result).items() if key in NOT_COPIED}
    taken = {key: value for key, value in annotations_of(target).items() if key not in NOT_COPIED}
    result["metadata"]["annotations"] = own | taken
    done = f'Rolled back deployment "{name_of(deployment)}" to revision {revision}'
    return Rollback(result, "DeploymentRollback", done, True)


def _last_but_one(replica_sets: Sequence[Object]) -> int:
    known = sorted(revision_of(each) or 0 for each in replica_sets)
    return known[-2] if len(known) > 1 else 0
