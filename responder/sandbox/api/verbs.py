"""What the API does to objects: get, list, create, update, patch, delete. Synchronous, so each is atomic.

The server calls these after it has found out who asks and whether they may.
"""

from __future__ import annotations

from dataclasses import replace

from responder.sandbox.api import status
from responder.sandbox.api.access import Authorizer
from responder.sandbox.api.apply import applier_of, apply_new, apply_to, owned_part, read_applied
from responder.sandbox.api.bodies import check_patched, decode_object, parse_patch
from responder.sandbox.api.call import Call, Reply
from responder.sandbox.api.delete_options import DeleteOptions, read_delete_options
from responder.sandbox.api.lists import check_list_options, parse_selection, select_page
from responder.sandbox.api.managed_fields import Entries, entries_of, record_manager
from responder.sandbox.api.names import is_odd_finalizer
from responder.sandbox.api.objects import Object, copied, finalizers, name_of, seconds_text
from responder.sandbox.api.patches import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    apply_json_patch,
    apply_merge_patch,
    apply_strategic_merge_patch,
)
from responder.sandbox.api.preconditions import check_size
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import ApiError, bad_request
from responder.sandbox.api.store import Store
from responder.sandbox.api.structure import Structure
from responder.sandbox.api.validation import newer_event_causes
from responder.sandbox.api.views import as_list, inside, outside

APPLY_PATCH = "application/apply-patch+yaml"
_CUSTOM_PATCHES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
_PATCHES = (*_CUSTOM_PATCHES, STRATEGIC_MERGE_PATCH)


class Verbs:
    """The verbs on one store."""

    def __init__(self, store: Store, authorizer: Authorizer) -> None:
        self._store = store
        self._authorizer = authorizer

    def get(self, call: Call, resource: Resource) -> Reply:
        """Answer with one object."""
        return Reply(200, outside(resource, self._look(call, resource)))

    def list(self, call: Call, resource: Resource) -> Reply:
        """Answer with the objects of a namespace, or of all."""
        check_list_options(call.query)
        selection = parse_selection(resource, call.target.namespace, call.query)
        page, metadata = select_page(self._store, selection, call.query)
        return Reply(200, as_list(resource, page, metadata))

    def create(self, call: Call, resource: Resource) -> Reply:
        """Store the object in the body."""
        call.check_options()
        obj, warnings = self._decode(call, resource)
        if obj["metadata"].get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        return self._store_new(call, resource, obj, warnings)

    def update(self, call: Call, resource: Resource) -> Reply:
        """Store the object in the body in place of the one that is there (or, on /status, its status)."""
        call.check_options()
        obj, warnings = self._decode(call, resource)
        missing = self._store.get(resource.storage_key, call.target.namespace, call.target.name) is None
        if missing and resource.create_on_update and not call.target.subresource:
            self._check_may_create(call, resource)
            obj["metadata"].pop("resourceVersion", None)
            return self._store_new(call, resource, obj, warnings)
        stored = self._write(call, resource, obj)
        return Reply(200, outside(resource, stored), (*warnings, *_finalizer_warnings(stored)))

    def patch(self, call: Call, resource: Resource) -> Reply:
        """Change the object by one of the four kinds of patch."""
        check_patch_type(call, resource)
        call.check_options()
        if call.content_type == APPLY_PATCH:
            return self._apply(call, resource)
        if call.query.get("force"):
            cause = status.forbidden_value("force", "may not be specified for non-apply patch")
            raise status.invalid_options("PatchOptions", [cause])
        current = outside(resource, self.existing(call, resource))
        patched = apply_patch(call, current)
        return self._store_patched(call, resource, current, patched)

    def delete(self, call: Call, resource: Resource) -> Reply:
        """Delete the object, or begin to."""
        options = read_delete_options(call)
        before = self.existing(call, resource)
        after = self.delete_one(resource, before, options)
        if resource.deletion_returns_object or after["metadata"].get("deletionTimestamp"):
            return Reply(200, outside(resource, after))
        details = {"name": name_of(after), "group": resource.group, "kind": resource.plural}
        body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        shown = {key: value for key, value in details.items() if value}
        return Reply(200, {**body, "details": {**shown, "uid": after["metadata"]["uid"]}})

    def delete_collection(self, call: Call, resource: Resource) -> Reply:
        """Delete every object that the selectors mean."""
        options = read_delete_options(call)
        selection = parse_selection(resource, call.target.namespace, call.query)
        page, metadata = select_page(self._store, selection, call.query)
        deleted = [self.delete_one(resource, obj, options) for obj in page]
        return Reply(200, as_list(resource, deleted, metadata))

    def _check_may_create(self, call: Call, resource: Resource) -> None:
        """Return when who updates or applies what is not there may create it too; ApiError 403 otherwise."""
        wanted = replace(call.target, verb="create").attributes()
        allowed, reason = self._authorizer.decide(call.user, wanted)
        if not allowed:
            raise status.forbidden(resource, call.target.name, reason)

    def existing(self, call: Call, resource: Resource) -> Object:
        """Return a copy of the stored object that the path names; ApiError 404 without it."""
        return copied(self._look(call, resource))

    def _look(self, call: Call, resource: Resource) -> Object:
        target = call.target
        found = self._store.look(resource.storage_key, target.namespace, target.name)
        if found is None:
            raise status.not_found(resource, target.name)
        return found

    def _decode(self, call: Call, resource: Resource) -> tuple[Object, tuple[str, ...]]:
        kind = self._store.kind(resource)
        obj, warnings = decode_object(call, resource, kind, self._store.catalog)
        check_place(call, obj)
        return obj, warnings

    def _check_patched(self, call: Call, resource: Resource, obj: Object) -> tuple[str, ...]:
        return check_patched(call, resource, self._store.kind(resource), obj, self._store.catalog)

    def _store_new(
        self,
        call: Call,
        resource: Resource,
        obj: Object,
        warnings: tuple[str, ...],
        managed_fields: Entries | None = None,
    ) -> Reply:
        check_size(obj)
        stored = self._store.create(
            resource.storage_key,
            self._inside(resource, obj),
            manager=call.manager,
            managed_fields=managed_fields or self._managed_outside(call, resource, obj, None),
            dry_run=call.dry_run,
        )
        return Reply(201, outside(resource, stored), (*warnings, *_finalizer_warnings(stored)))

    def _write(
        self, call: Call, resource: Resource, obj: Object, managed_fields: Entries | None = None
    ) -> Object:
        check_size(obj)
        inner, old = self._inside(resource, obj), None
        if resource.stored_as:
            old = outside(resource, self.existing(call, resource))
        return self._store.update(
            resource.storage_key,
            inner,
            manager=call.manager,
            subresource=call.target.subresource,
            managed_fields=managed_fields or self._managed_outside(call, resource, obj, old),
            dry_run=call.dry_run,
        )

    def _managed_outside(
        self, call: Call, resource: Resource, obj: Object, old: Object | None
    ) -> Entries | None:
        """Return who owns an object that is stored under another group: owned are the names written here."""
        if not resource.stored_as:
            return None
        named = {**obj, "metadata": dict(obj["metadata"])}
        now = seconds_text(self._store.clock.now())
        record_manager(named, old, Structure(), call.manager, resource.api_version, now)
        return entries_of(named)

    def _inside(self, resource: Resource, obj: Object) -> Object:
        if resource.stored_as:
            causes = list(newer_event_causes(obj, "reportingController", "type"))
            if causes:
                raise status.invalid(self._store.resource(resource.stored_as), name_of(obj), causes)
        return inside(resource, obj)

    def _store_patched(
        self,
        call: Call,
        resource: Resource,
        current: Object,
        patched: Object,
        managed_fields: Entries | None = None,
    ) -> Reply:
        warnings = self._check_patched(call, resource, patched)
        check_place(call, patched)
        uid = patched["metadata"].get("uid")
        if uid != current["metadata"]["uid"]:
            cause = status.immutable_value("metadata.uid", uid)
            raise status.invalid(resource, call.target.name, [cause])
        stored = self._write(call, resource, patched, managed_fields)
        added = set(finalizers(stored)) - set(finalizers(current))
        odd = _finalizer_warnings(stored) if added else ()
        return Reply(200, outside(resource, stored), (*warnings, *odd))

    def _apply(self, call: Call, resource: Resource) -> Reply:
        applied = read_applied(call, resource, parse_patch(call))
        check_place(call, applied)
        structure = self._store.structure(resource)
        owned = owned_part(resource, applied, call.target.subresource)
        applier = applier_of(call, resource, self._store.clock.now())
        found = self._store.get(resource.storage_key, call.target.namespace, call.target.name)
        if found is None:
            if call.target.subresource:
                raise status.not_found(resource, call.target.name)
            _check_uid(call, resource, applied)
            self._check_may_create(call, resource)
            warnings = self._check_patched(call, resource, applied)
            return self._store_new(call, resource, applied, warnings, apply_new(structure, owned, applier))
        current = outside(resource, found)
        merged, managed_fields = apply_to(structure, current, applied, owned, applier)
        return self._store_patched(call, resource, current, merged, managed_fields)

    def delete_one(self, resource: Resource, obj: Object, options: DeleteOptions) -> Object:
        """Delete a stored object as the options say; what Store.delete returns and raises."""
        return self._store.delete(
            resource.storage_key,
            obj["metadata"].get("namespace", ""),
            name_of(obj),
            uid=options.uid,
            resource_version=options.resource_version,
            propagation=options.propagation,
            grace_seconds=options.grace_seconds,
            dry_run=options.dry_run,
        )


def apply_patch(call: Call, current: Object) -> Object:
    """Return current as the patch in the body changes it (all kinds but server-side apply)."""
    patch = parse_patch(call)
    match call.content_type:
        case "application/json-patch+json":
            patched = apply_json_patch(current, patch)
        case "application/merge-patch+json":
            patched = apply_merge_patch(current, patch)
        case _:
            patched = apply_strategic_merge_patch(current, patch)
    if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
        raise status.unprocessable()
    return patched


def check_place(call: Call, obj: Object) -> None:
    """Put obj where the path says it belongs; ApiError 400 when it says otherwise itself."""
    target, meta = call.target, obj["metadata"]
    if target.namespace and (meta.setdefault("namespace", target.namespace) or "") != target.namespace:
        why = "the namespace of the provided object does not match the namespace sent on the request"
        raise bad_request(why)
    if target.name and target.verb in ("update", "patch"):
        if not meta.get("name") and target.verb == "update":
            raise bad_request("name must be provided")
        if meta.setdefault("name", target.name) != target.name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
            )


def _check_uid(call: Call, resource: Resource, applied: Object) -> None:
    """Return when an apply may create the object; ApiError 409 where it means one that was there.

    Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go, applyPatch.
    """
    uid = applied["metadata"].get("uid")
    if uid:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise status.conflict(resource, call.target.name, why)


def check_patch_type(call: Call, resource: Resource) -> None:
    """Return when resource can be patched so; ApiError 415 otherwise."""
    if resource.custom and call.content_type not in _CUSTOM_PATCHES:
        raise status.unsupported_media_type(_CUSTOM_PATCHES)
    if call.content_type not in _PATCHES:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def _finalizer_warnings(obj: Object) -> tuple[str, ...]:
    advice = (
        "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
    )
    return tuple(
        f'metadata.finalizers: "{name}": {advice}' for name in finalizers(obj) if is_odd_finalizer(name)
    )
