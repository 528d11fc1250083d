"""Structural schemas of custom resources: pruning, defaulting and validation, with the real server's words.

Pure. JSON Schema itself is jsonschema's; what Kubernetes adds to it or says differently is here.
Source: Kubernetes staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/{schema,validation}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import jsonschema

from responder.sandbox.api.objects import copied
from responder.sandbox.api.status import Cause, invalid_value, required_value, unsupported_value

Schema = dict[str, Any]

_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to"
    " complete validation"
)
_IMMUTABLE_RULE = "self == oldSelf"
_OWN_RULES = ("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys")

# Of the formats only what our definitions use is played: others count as kept.
FORMATS = jsonschema.FormatChecker(formats=())
# A zone is needed, a fraction may have any length.
# Source: k8s.io/kube-openapi pkg/validation/strfmt, IsDateTime.
_DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})t([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(z|[+-]\d{2}:\d{2})", re.IGNORECASE
)


@FORMATS.checks("date-time")
def is_date_time(value: object) -> bool:
    """Whether the real server takes the value for an instant; what is no text is another rule's affair."""
    if not isinstance(value, str):
        return True
    match = _DATE_TIME.fullmatch(value)
    try:
        return match is not None and bool(date.fromisoformat(match[1]))
    except ValueError:
        return False


def prune(schema: Schema, value: Any, path: str = "") -> list[str]:
    """Remove in place what schema does not know and return the paths of what was removed."""
    removed: list[str] = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            removed += prune(schema.get("items") or {}, item, f"{path}[{index}]")
    if not isinstance(value, dict) or schema.get("x-kubernetes-embedded-resource"):
        return removed
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in list(value):
        where = f"{path}.{name}" if path else name
        if name in properties:
            removed += prune(properties[name], value[name], where)
        elif isinstance(additional, dict):
            removed += prune(additional, value[name], where)
        elif not additional and not schema.get("x-kubernetes-preserve-unknown-fields"):
            del value[name]
            removed.append(where)
    return removed


def apply_schema_defaults(schema: Schema, value: Any) -> None:
    """Fill in defaults in place; a null where none is allowed counts as absent."""
    if isinstance(value, list):
        for item in value:
            apply_schema_defaults(schema.get("items") or {}, item)
    if not isinstance(value, dict):
        return
    for name, child in (schema.get("properties") or {}).items():
        if name in value and value[name] is None and not child.get("nullable"):
            del value[name]
        if name not in value and "default" in child:
            value[name] = copied(child["default"])
        if name in value:
            apply_schema_defaults(child, value[name])
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        for item in value.values():
            apply_schema_defaults(additional, item)


def to_json_schema(schema: Schema) -> Schema:
    """Return schema as draft 4 understands it."""
    result: Schema = {}
    for name, part in schema.items():
        match name:
            case "properties":
                result[name] = {key: to_json_schema(child) for key, child in part.items()}
            case "items" | "not":
                result[name] = to_json_schema(part)
            case "additionalProperties":
                result[name] = to_json_schema(part) if isinstance(part, dict) else part
            case "allOf" | "anyOf" | "oneOf":
                result[name] = [to_json_schema(child) for child in part]
            case "default" | "description" | "example" | "title":
                continue
            case _:
                result[name] = part
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    if schema.get("nullable") and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result


def own_rules(schema: Schema) -> Schema:
    """Return what schema says beyond JSON Schema, where it says any: rules of its own, lists with keys."""
    result = {name: schema[name] for name in _OWN_RULES if name in schema}
    children = {name: own_rules(child) for name, child in (schema.get("properties") or {}).items()}
    if any(children.values()):
        result["properties"] = children
    for name in ("items", "additionalProperties"):
        child = own_rules(schema[name]) if isinstance(schema.get(name), dict) else {}
        if child:
            result[name] = child
    return result


def schema_causes(rules: Schema, validator: jsonschema.Draft4Validator, new: Any, old: Any) -> list[Cause]:
    """Return what is wrong with new; old (None on create) is what rules about changes compare with.

    rules is what own_rules makes of the schema.
    """
    causes = [cause for error in validator.iter_errors(new) for cause in _causes_of(error)]
    if causes:
        if _has_rules(rules):
            causes.append(Cause("FieldValueInvalid", f"Invalid value: null: {_UNCHECKED}", "<nil>"))
        return causes
    return [*_duplicates(rules, new, ""), *_broken_rules(rules, new, old, "")]


def _causes_of(error: jsonschema.ValidationError) -> Iterator[Cause]:
    path = path_text(error.absolute_path)
    value: Any = error.instance
    limit: Any = error.validator_value
    match error.validator:
        case "required":
            missing = [name for name in limit if name not in value]
            # jsonschema reports one error for each missing member; its message begins with the name.
            name = next((n for n in missing if error.message.startswith(repr(n))), missing[0])
            yield required_value(f"{path}.{name}" if path else name)
        case "enum":
            yield unsupported_value(path, value, [str(option) for option in limit])
        case "type":
            wanted = limit if isinstance(limit, str) else limit[0]
            got = type_name(value)
            text = f'Invalid value: "{got}": {path} in body must be of type {wanted}: "{got}"'
            yield Cause("FieldValueTypeInvalid", text, path)
        case "format":
            text = f'Invalid value: "{value}": {path} in body must be of type {limit}: "{value}"'
            yield Cause("FieldValueTypeInvalid", text, path)
        case "maxLength":
            yield Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", path)
        case "maxItems":
            text = f"Too many: {len(value)}: must have at most {limit} items"
            yield Cause("FieldValueTooMany", text, path)
        case _:
            yield invalid_value(path, value, f"{path} in body {_words(error)}")


def _words(error: jsonschema.ValidationError) -> str:
    limit = error.validator_value
    match error.validator:
        case "minimum":
            return f"should be greater than or equal to {limit}"
        case "maximum":
            return f"should be less than or equal to {limit}"
        case "minLength":
            return f"should be at least {limit} chars long"
        case "minItems":
            return f"should have at least {limit} items"
        case "minProperties":
            return f"should have at least {limit} properties"
        case "maxProperties":
            return f"should have at most {limit} properties"
        case "pattern":
            return f"should match '{limit}'"
        case _:
            return f"is invalid ({error.validator})"


def path_text(path: Iterable[str | int]) -> str:
    """Write a path as field causes do: spec.ports[0].name."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def type_name(value: Any) -> str:
    """Return the JSON Schema name of value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _children(schema: Schema, value: Any, path: str) -> Iterator[tuple[Schema, Any, str]]:
    if not schema:
        return
    if isinstance(value, dict):
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            child = properties.get(name, additional)
            if isinstance(child, dict):
                yield child, item, f"{path}.{name}" if path else name
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield schema["items"], item, f"{path}[{index}]"


def _has_rules(schema: Schema) -> bool:
    if schema.get("x-kubernetes-validations"):
        return True
    children = [
        *(schema.get("properties") or {}).values(),
        schema.get("items"),
        schema.get("additionalProperties"),
    ]
    return any(_has_rules(child) for child in children if isinstance(child, dict))


def _duplicates(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    if isinstance(value, list) and schema.get("x-kubernetes-list-type") in ("map", "set"):
        keys = schema.get("x-kubernetes-list-map-keys") or []
        seen: list[Any] = []
        for index, item in enumerate(value):
            identity = {key: item.get(key) for key in keys if key in item} if keys else item
            if identity in seen:
                text = json.dumps(identity, separators=(",", ":"))
                yield Cause("FieldValueDuplicate", f"Duplicate value: {text}", f"{path}[{index}]")
            seen.append(identity)
    for child, item, where in _children(schema, value, path):
        yield from _duplicates(child, item, where)


def _broken_rules(schema: Schema, new: Any, old: Any, path: str) -> Iterator[Cause]:
    # Of the rule language only immutability is played: other rules count as kept.
    for rule in schema.get("x-kubernetes-validations") or []:
        if rule.get("rule") == _IMMUTABLE_RULE and old is not None and new != old:
            message = rule.get("message") or f"failed rule: {rule['rule']}"
            yield Cause("FieldValueInvalid", f"Invalid value: {message}", path or "<nil>")
    for child, item, where in _children(schema, new, path):
        # An item of a list has no former self here: lists are matched by key only on a real server.
        former = old.get(where.rpartition(".")[2]) if isinstance(old, Mapping) else None
        yield from _broken_rules(child, item, former, where)
