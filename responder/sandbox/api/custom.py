"""Custom resources: what a CustomResourceDefinition brings to life, and the rules its objects follow.

Definitions watches the store for definitions, serves what they define and confirms it in their status.
Called by the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jsonschema

from responder.sandbox.api.objects import Object, copied, name_of, seconds_text
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.schema import (
    FORMATS,
    Schema,
    apply_schema_defaults,
    own_rules,
    prune,
    schema_causes,
    to_json_schema,
)
from responder.sandbox.api.status import Cause, invalid_value, required_value, unsupported_value
from responder.sandbox.api.validation import metadata_causes

if TYPE_CHECKING:
    from responder.sandbox.api.store import Event, Store

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_MANAGER = "kube-apiserver"
# In the order in which the real server's discovery tells them.
_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic"
    " character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for"
    " validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_ENVELOPE = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


class CustomKind:
    """The rules of one custom resource: its schema, and its status as a subresource where it has one."""

    def __init__(self, resource: Resource, schema: Schema, columns: Sequence[dict[str, Any]] = ()) -> None:
        self.resource = resource
        self.columns = tuple(columns)
        self.schema: Schema = {**schema, "properties": {**(schema.get("properties") or {}), **_ENVELOPE}}
        self.schema["properties"]["metadata"] = {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
        }
        self._json_schema = to_json_schema(self.schema)
        # By the members that an update leaves as they are.
        self._validators: dict[frozenset[str], jsonschema.Draft4Validator] = {}
        self._own_rules = own_rules(self.schema)

    def prune(self, obj: Object) -> list[str]:
        """Remove unknown fields in place and return their paths, sorted as the real server warns of them."""
        return sorted(prune(self.schema, obj))

    def prepare_create(self, obj: Object) -> None:
        """Drop the status where it is a subresource, and unknown fields; fill in defaults."""
        if self.resource.has_status:
            obj.pop("status", None)
        self._normalize(obj)

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        """Keep the status on the main path, and everything but the status on /status, metadata included."""
        if subresource == "status":
            status = new.get("status")
            kept_fields = new["metadata"].get("managedFields")
            new.clear()
            new.update(copied(old))
            new.pop("status", None)
            if status is not None:
                new["status"] = status
            if kept_fields is not None:
                new["metadata"]["managedFields"] = kept_fields
        elif self.resource.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        self._normalize(new)

    def raises_generation(self, new: Object, old: Object) -> bool:
        """Everything counts but metadata, and the status where it is a subresource."""
        left_out = {"metadata", "status"} if self.resource.has_status else {"metadata"}
        return {k: v for k, v in new.items() if k not in left_out} != {
            k: v for k, v in old.items() if k not in left_out
        }

    def validate(self, obj: Object, old: Object | None, subresource: str) -> Sequence[Cause]:
        """Return what the metadata rules and the schema find wrong."""
        found = list(metadata_causes(self.resource, obj, old))
        # The real server checks the metadata of an update twice and reports refused finalizers twice.
        found += [cause for cause in found if cause.field == "metadata.finalizers"]
        return [*found, *schema_causes(self._own_rules, self._validator(obj, old), obj, old)]

    def _validator(self, new: Object, old: Object | None) -> jsonschema.Draft4Validator:
        """Return what checks all members but those that stay as they are: a stricter schema spares them.

        Played for whole members such as spec; the real server spares each field within them as well.
        Source: Kubernetes KEP-4008, CRDValidationRatcheting.
        """
        properties = self._json_schema["properties"]
        kept = frozenset(() if old is None else (n for n in properties if n in new and new[n] == old.get(n)))
        if kept not in self._validators:
            checked = {name: {} if name in kept else part for name, part in properties.items()}
            self._validators[kept] = jsonschema.Draft4Validator(
                {**self._json_schema, "properties": checked}, format_checker=FORMATS
            )
        return self._validators[kept]

    def _normalize(self, obj: Object) -> None:
        obj["apiVersion"], obj["kind"] = self.resource.api_version, self.resource.kind
        prune(self.schema, obj)
        apply_schema_defaults(self.schema, obj)


class Definitions:
    """Serves what the store's definitions define, for as long as they are there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def observe(self, event: Event) -> None:
        """React to one write: of a definition, or of what keeps a deleted one from going."""
        if event.resource.custom and event.type == "DELETED":
            owner = self._store.get(DEFINITIONS, "", event.resource.key)
            if owner is not None and owner["metadata"].get("deletionTimestamp"):
                self._end(owner)
        if event.resource.key != DEFINITIONS:
            return
        definition = event.object
        if event.type == "DELETED":
            for resource, _ in served_kinds(definition):
                self._store.catalog.withdraw(resource)
        elif definition["metadata"].get("deletionTimestamp"):
            self._end(definition)
        else:
            self._serve(definition, event.previous)

    def _serve(self, definition: Object, previous: Object | None) -> None:
        if previous is None:
            self._confirm(definition, "False", "Installing")
            self._confirm(definition, "True", "InitialNamesAccepted")
        for resource, kind in served_kinds(definition):
            self._store.serve_custom(resource, kind)

    def _confirm(self, definition: Object, established: str, reason: str) -> None:
        current = self._store.get(DEFINITIONS, "", name_of(definition))
        if current is None:
            return
        now = seconds_text(self._store.clock.now())
        message = "the initial names have been accepted"
        current["status"] = {
            **current["status"],
            "conditions": [
                condition("NamesAccepted", "True", "NoConflicts", "no conflicts found", now),
                condition("Established", established, reason, message, now),
            ],
            "acceptedNames": definition["spec"]["names"],
        }
        self._store.update(DEFINITIONS, current, manager=_MANAGER, subresource="status")

    def _end(self, definition: Object) -> None:
        for resource, _ in served_kinds(definition):
            for obj in self._store.list(resource.key):
                if not obj["metadata"].get("deletionTimestamp"):
                    self._store.delete(resource.key, obj["metadata"].get("namespace", ""), name_of(obj))
            if any(True for _ in self._store.scan(resource.key)):
                return
        freed = self._store.get(DEFINITIONS, "", name_of(definition))
        if freed is not None:
            kept = [name for name in freed["metadata"].get("finalizers", []) if name != CLEANUP_FINALIZER]
            freed["metadata"]["finalizers"] = kept
            self._store.update(DEFINITIONS, freed, manager=_MANAGER)


def served_kinds(definition: Object) -> Iterator[tuple[Resource, CustomKind]]:
    """Yield a resource and its rules for each served version, the stored version last."""
    spec, names = definition["spec"], definition["spec"]["names"]
    for version in sorted(spec["versions"], key=lambda version: bool(version.get("storage"))):
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        selectable = version.get("selectableFields") or []
        resource = Resource(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            singular=names.get("singular") or names["kind"].lower(),
            namespaced=spec.get("scope") == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            has_status="status" in subresources,
            has_scale="scale" in subresources,
            custom=True,
            verbs=_VERBS,
            unconditional_update=False,
            field_labels=tuple(field["jsonPath"].removeprefix(".") for field in selectable),
            list_kind=names.get("listKind") or f"{names['kind']}List",
        )
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        yield resource, CustomKind(resource, schema, version.get("additionalPrinterColumns") or ())


def definition_causes(definition: Object) -> Iterator[Cause]:
    """Yield what is wrong with a definition itself."""
    spec = definition.get("spec") or {}
    names, name = spec.get("names") or {}, name_of(definition)
    if name != f"{names.get('plural')}.{spec.get('group')}":
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _name_rules(names)
    versions = spec.get("versions") or []
    if sum(1 for version in versions if version.get("storage")) != 1:
        shown = [str(version.get("name")) for version in versions]
        detail = "must have exactly one version marked as storage version"
        yield invalid_value("spec.versions", shown, detail)
    for index, version in enumerate(versions):
        where = "spec.validation" if len(versions) == 1 else f"spec.versions[{index}].schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield required_value(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")
        else:
            yield from _untyped(schema, f"{where}.openAPIV3Schema")


def _name_rules(names: dict[str, Any]) -> Iterator[Cause]:
    for member in ("plural", "singular", "kind", "listKind"):
        name, field = str(names.get(member) or ""), f"spec.names.{member}"
        mixed = member in ("kind", "listKind")
        if not name:
            yield required_value(field)
        elif not _DNS_1035.fullmatch(name.lower() if mixed else name):
            why = f"may have mixed case, but should otherwise match: {_DNS_1035_TEXT}"
            yield invalid_value(field, name, why if mixed else _DNS_1035_TEXT)


def _untyped(schema: Schema, where: str) -> Iterator[Cause]:
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not free:
        place = (
            "object fields"
            if where.endswith("]")
            else "array items"
            if where.endswith("items")
            else "objects"
        )
        text = (
            "must not be empty at the root"
            if place == "objects"
            else f"must not be empty for specified {place}"
        )
        yield required_value(f"{where}.type", text)
    elif schema.get("type") not in (None, *_TYPES):
        yield unsupported_value(f"{where}.type", schema["type"], _TYPES)
    try:
        re.compile(str(schema.get("pattern") or ""))
    except re.error as error:
        why = f"must be a valid regular expression, but isn't: {error}"
        yield invalid_value(f"{where}.pattern", schema["pattern"], why)
    for name, child in (schema.get("properties") or {}).items():
        yield from _untyped(child, f"{where}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        yield from _untyped(schema["items"], f"{where}.items")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _untyped(schema["additionalProperties"], f"{where}.additionalProperties")


def mark_terminating(definition: Object, now: str) -> None:
    """Note in place, in its status, that a definition is being deleted."""
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    conditions = definition["status"].get("conditions") or []
    if not any(kept["type"] == "Terminating" for kept in conditions):
        ending = condition("Terminating", "True", "InstanceDeletionPending", message, now)
        definition["status"]["conditions"] = [*conditions, ending]


def condition(kind: str, status: str, reason: str, message: str, now: str) -> dict[str, str]:
    """Return a condition of a definition."""
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
