"""ControllerRevisions, the history of StatefulSets and DaemonSets: each a patch that brings a template back.

The first functions are pure; record, raise_number and delete write. Called by the two controllers.
Source: Kubernetes pkg/controller/history/controller_history.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from responder.sandbox.api.objects import Object, copied, name_of, namespace_of
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Store
from responder.sandbox.controllers.claim import MANAGER
from responder.sandbox.controllers.fields import (
    annotations_of,
    creation_order,
    labels_of,
    owner_reference,
    uid_of,
)
from responder.sandbox.controllers.templates import template_hash

CONTROLLER_REVISIONS = "controllerrevisions.apps"
# On pods of both kinds; on the revisions of a DaemonSet too.
REVISION_HASH = "controller-revision-hash"
# On the revisions of a StatefulSet.
HISTORY_HASH = "controller.kubernetes.io/hash"
# Source: Kubernetes pkg/controller/history/controller_history.go ControllerRevisionName.
_MAX_PREFIX_CHARACTERS = 223


def revision_data(owner: Object) -> Object:
    """What a revision keeps of its owner: a strategic merge patch that replaces the whole template."""
    template = {key: value for key, value in copied(owner["spec"]["template"]).items() if key != "status"}
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: Object) -> Object:
    """The pod template that a revision brings back."""
    template: Object = copied(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    return template


def number_of(revision: Object) -> int:
    """The revision's number."""
    return int(revision.get("revision") or 0)


def in_order(revisions: Iterable[Object]) -> list[Object]:
    """The revisions, lowest number first."""
    return sorted(revisions, key=lambda each: (number_of(each), *creation_order(each)))


def next_number(revisions: Iterable[Object]) -> int:
    """One more than the highest number among the revisions."""
    return max((number_of(each) for each in revisions), default=0) + 1


def equal_to(revisions: Iterable[Object], data: Object) -> list[Object]:
    """Those that keep the same, lowest number first."""
    return [each for each in in_order(revisions) if each["data"] == data]


def new_revision(owner: Object, kind: str, number: int, collision_count: int | None, label: str) -> Object:
    """The revision for the owner's template, not created yet; label is the key that bears its hash."""
    template = owner["spec"]["template"]
    hash_value = template_hash(template, collision_count)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{name_of(owner)[:_MAX_PREFIX_CHARACTERS]}-{hash_value}",
            "namespace": namespace_of(owner),
            "labels": labels_of(template) | {label: hash_value},
            "annotations": dict(annotations_of(owner)),
            "ownerReferences": [owner_reference(owner, "apps/v1", kind)],
        },
        "data": revision_data(owner),
        "revision": number,
    }


def expired(dead: Sequence[Object], limit: int | None) -> list[Object]:
    """Of the revisions that nothing runs any more, those beyond the limit, lowest number first."""
    return [] if limit is None else in_order(dead)[: max(0, len(dead) - limit)]


def record(store: Store, revision: Object) -> Object | None:
    """Create the revision, or find that it is there; None where its name is taken by another template."""
    try:
        return store.create(CONTROLLER_REVISIONS, revision, manager=MANAGER)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    found = store.get(CONTROLLER_REVISIONS, namespace_of(revision), name_of(revision))
    return found if found is not None and found["data"] == revision["data"] else None


def raise_number(store: Store, revision: Object, number: int) -> Object:
    """Give a revision that is wanted again the number of a new one: its old number is history no more."""
    if number_of(revision) >= number:
        return revision
    return store.update(CONTROLLER_REVISIONS, {**revision, "revision": number}, manager=MANAGER)


def delete(store: Store, revisions: Iterable[Object]) -> None:
    """Forget revisions."""
    for each in revisions:
        store.delete(CONTROLLER_REVISIONS, namespace_of(each), name_of(each), uid=uid_of(each))
