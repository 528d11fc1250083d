"""Which objects a controller owns: those with its uid, and orphans that its selector takes.

Called by the workloads' controllers: for ReplicaSets, ControllerRevisions and pods.
Source: Kubernetes pkg/controller/controller_ref_manager.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from responder.sandbox.api.objects import Object, name_of, namespace_of, owner_references
from responder.sandbox.api.selectors import label_selector_of
from responder.sandbox.api.store import Event, Store
from responder.sandbox.controllers.fields import (
    controller_of,
    is_controlled_by,
    is_deleting,
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
    selector = label_selector_of(owner["spec"].get("selector"))
    for found in store.list(key, namespace_of(owner)):
        fits = selector.matches(found)
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


def owners_in(store: Store, key: str, kind: str, event: Event) -> Iterator[tuple[str, str]]:
    """The objects of an apps/v1 kind (under key) that an event about something they may own concerns.

    The controller of what has changed, as it is and as it was; for an orphan, whoever selects it.
    """
    for owned in (event.object, event.previous):
        if owned is None:
            continue
        reference = controller_of(owned)
        if reference is None:
            for each in store.scan(key, namespace_of(owned)):
                if label_selector_of(each["spec"].get("selector")).matches(owned):
                    yield namespace_of(each), name_of(each)
        elif reference.get("kind") == kind:
            yield namespace_of(owned), str(reference["name"])


def _release(store: Store, key: str, found: Object, owner: Object) -> None:
    others = [each for each in owner_references(found) if each.get("uid") != uid_of(owner)]
    found["metadata"]["ownerReferences"] = others
    store.update(key, found, manager=MANAGER)
