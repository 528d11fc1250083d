"""Which objects a controller owns: those with its uid, and orphans that its selector takes.

Called by the Deployment controller for ReplicaSets and by the ReplicaSet controller for pods.
Source: Kubernetes pkg/controller/controller_ref_manager.go.
"""

from __future__ import annotations

from responder.sandbox.api.objects import Object, namespace_of, owner_references
from responder.sandbox.api.store import Store
from responder.sandbox.controllers.fields import (
    controller_of,
    is_controlled_by,
    is_deleting,
    labels_of,
    matches,
    owner_reference,
    uid_of,
)

MANAGER = "kube-controller-manager"


def claimed(store: Store, key: str, owner: Object, kind: str) -> list[Object]:
    """The objects under key that owner (an apps/v1 kind) controls, after adoption and release.

    Orphans that match are adopted, owned ones that no longer match are let go; an owner that is being deleted
    does neither, and an object that is being deleted is not adopted.
    """
    result: list[Object] = []
    for found in store.list(key, namespace_of(owner)):
        fits = matches(owner["spec"].get("selector"), labels_of(found))
        if is_controlled_by(found, owner):
            if fits or is_deleting(owner):
                result.append(found)
            else:
                _release(store, key, found, owner)
        elif fits and controller_of(found) is None and not is_deleting(found) and not is_deleting(owner):
            references = [*owner_references(found), owner_reference(owner, "apps/v1", kind)]
            found["metadata"]["ownerReferences"] = references
            result.append(store.update(key, found, manager=MANAGER))
    return result


def _release(store: Store, key: str, found: Object, owner: Object) -> None:
    others = [each for each in owner_references(found) if each.get("uid") != uid_of(owner)]
    found["metadata"]["ownerReferences"] = others
    store.update(key, found, manager=MANAGER)
