"""The CustomResourceDefinitions say exactly what the models say, so that no field we write is pruned."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from pydantic import BaseModel

from responder.incidents.bounds import (
    MAX_ENTRIES,
    MAX_EVIDENCE,
    MAX_EVIDENCE_VALUE,
    MAX_LINE,
    MAX_MESSAGE,
    MAX_URL,
    MAX_VALUE,
    MAX_VERDICTS,
)
from responder.incidents.decision import Decision
from responder.incidents.model import MAX_ALERTS, MAX_OVERFLOW, MAX_TIMELINE, Incident
from responder.incidents.phases import Outcome
from responder.incidents.record import MAX_HELD, WorkloadRecord
from responder.workloads.ledger import MAX_CHANGE_CAUSE, MAX_IMAGE, MAX_IMAGES
from responder.workloads.observe import MAX_SERVINGS
from tests.shared import CHECKOUT

CRDS = Path(__file__).parents[3] / "deploy" / "base" / "crds"
MODELS: dict[str, type[BaseModel]] = {
    "incidents": Incident,
    "workloadrecords": WorkloadRecord,
    "decisions": Decision,
}


class Place(NamedTuple):
    """One node of a schema with the type that the model gives it."""

    path: str
    schema: dict[str, Any]
    type: Any


def definition(plural: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    return content


def version(plural: str) -> dict[str, Any]:
    (only,) = definition(plural)["spec"]["versions"]
    return dict(only)


def places(plural: str) -> Iterator[Place]:
    schema = version(plural)["schema"]["openAPIV3Schema"]
    return walk(Place("", schema, MODELS[plural]))


def walk(place: Place) -> Iterator[Place]:
    """This place and every one below it that both the model and the schema know."""
    yield place
    inner = plain(place.type)
    path, schema, _ = place
    if is_model(inner):
        for name, annotation in model_fields(inner).items():
            if name in schema["properties"] and (path, name) != ("", "metadata"):
                yield from walk(Place(f"{path}.{name}", schema["properties"][name], annotation))
    elif get_origin(inner) is dict:
        yield from walk(Place(f"{path}[*]", schema["additionalProperties"], get_args(inner)[1]))
    elif get_origin(inner) is tuple:
        yield from walk(Place(f"{path}[]", schema["items"], get_args(inner)[0]))


def plain(annotation: Any) -> Any:
    """The type without its `| None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = [arg for arg in get_args(annotation) if arg is not type(None)]
    return annotation


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation))


def model_fields(model: Any) -> dict[str, Any]:
    if is_dataclass(model):
        return get_type_hints(model)
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def required_fields(model: Any) -> set[str]:
    if is_dataclass(model):
        return {field.name for field in fields(model) if field.default_factory is field.default is MISSING}
    return {field.alias or name for name, field in model.model_fields.items() if field.is_required()}


def expected_schema(annotation: Any) -> dict[str, Any]:
    """What the schema has to say of a type, bounds apart."""
    inner = plain(annotation)
    if is_model(inner) or get_origin(inner) is dict:
        return {"type": "object"}
    if get_origin(inner) is tuple:
        return {"type": "array"}
    if get_origin(inner) is Literal:
        return {"type": "string", "enum": list(get_args(inner))}
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return {"type": "string", "enum": [str(member) for member in inner]}
    return {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer", "format": "int64"},
        datetime: {"type": "string", "format": "date-time"},
    }[inner]


@pytest.mark.parametrize("plural", MODELS)
def test_schema_and_model_have_the_same_fields(plural: str) -> None:
    for path, schema, annotation in places(plural):
        model = plain(annotation)
        if not is_model(model):
            continue
        envelope = {"apiVersion", "kind", "metadata"} if path == "" else set()
        assert set(schema["properties"]) | envelope == set(model_fields(model)) | envelope, path
        assert set(schema.get("required", ())) == required_fields(model) - envelope, path
        assert "additionalProperties" not in schema, path


@pytest.mark.parametrize("plural", MODELS)
def test_schema_and_model_agree_on_types(plural: str) -> None:
    for path, schema, annotation in places(plural):
        said = {key: schema[key] for key in ("type", "format", "enum") if key in schema}
        assert said == expected_schema(annotation), path
        assert "nullable" not in schema, f"{path}: a null in a merge patch removes, so none is ever stored"


@pytest.mark.parametrize("plural", MODELS)
def test_everything_has_a_bound(plural: str) -> None:
    bounds = {"string": "maxLength", "array": "maxItems"}
    for path, schema, _ in places(plural):
        if "enum" in schema or schema.get("format") == "date-time":
            continue
        bound = "maxProperties" if "additionalProperties" in schema else bounds.get(schema["type"])
        assert bound is None or schema[bound] > 0, path


def test_an_incident_holds_as_many_alerts_as_the_program_says() -> None:
    # The API server's refusal is what tells the program that one is full, whoever filled it.
    at = {place.path: place.schema for place in places("incidents")}
    assert at[".spec.alerts"]["maxProperties"] == MAX_ALERTS
    assert at[".spec.overflow"]["maxProperties"] == MAX_OVERFLOW


# What the program writes at most; the schema leaves room beside it for a later version.
WRITTEN = {
    ("incidents", ".spec.alerts[*].labels"): MAX_ENTRIES,
    ("incidents", ".spec.alerts[*].annotations"): MAX_ENTRIES,
    ("incidents", ".spec.alerts[*].labels[*]"): MAX_VALUE,
    ("incidents", ".spec.alerts[*].annotations[*]"): MAX_VALUE,
    ("incidents", ".spec.alerts[*].generatorUrl"): MAX_URL,
    ("incidents", ".status.message"): MAX_MESSAGE,
    ("incidents", ".status.page.message"): MAX_MESSAGE,
    ("incidents", ".status.conditions[].message"): MAX_MESSAGE,
    ("incidents", ".status.timeline"): MAX_TIMELINE,
    ("incidents", ".status.timeline[].message"): MAX_LINE,
    ("incidents", ".status.verdicts"): MAX_VERDICTS,
    ("incidents", ".status.verdicts[].message"): MAX_LINE,
    ("incidents", ".status.guards"): MAX_VERDICTS,
    ("incidents", ".status.guards[].message"): MAX_LINE,
    ("incidents", ".status.guards[].evidence"): MAX_EVIDENCE,
    ("incidents", ".status.guards[].evidence[*]"): MAX_EVIDENCE_VALUE,
    ("incidents", ".status.verdicts[].evidence"): MAX_EVIDENCE,
    ("incidents", ".status.verdicts[].evidence[*]"): MAX_EVIDENCE_VALUE,
    ("incidents", ".status.bad.images"): MAX_IMAGES,
    ("incidents", ".status.bad.images[]"): MAX_IMAGE,
    ("incidents", ".status.bad.changeCause"): MAX_CHANGE_CAUSE,
    ("workloadrecords", ".spec.held"): MAX_HELD,
    ("workloadrecords", ".spec.held[*].labels[*]"): MAX_VALUE,
    ("workloadrecords", ".spec.servings"): MAX_SERVINGS,
    ("workloadrecords", ".spec.servings[].revision.images"): MAX_IMAGES,
    ("workloadrecords", ".spec.servings[].revision.changeCause"): MAX_CHANGE_CAUSE,
}


@pytest.mark.parametrize(("plural", "path"), WRITTEN)
def test_bounds_lie_above_what_the_program_writes(plural: str, path: str) -> None:
    (schema,) = [place.schema for place in places(plural) if place.path == path]
    (bound,) = [schema[key] for key in ("maxItems", "maxLength", "maxProperties") if key in schema]
    assert bound >= 2 * WRITTEN[plural, path]


@pytest.mark.parametrize("plural", MODELS)
def test_names_and_versions(plural: str) -> None:
    crd = definition(plural)
    kind = MODELS[plural].__name__
    names = crd["spec"]["names"]
    assert crd["apiVersion"] == "apiextensions.k8s.io/v1"
    assert crd["metadata"]["name"] == f"{plural}.responder.dev"
    assert crd["spec"]["group"] == "responder.dev"
    assert crd["spec"]["scope"] == "Namespaced"
    assert (names["kind"], names["listKind"], names["singular"]) == (kind, f"{kind}List", kind.lower())
    assert version(plural)["name"] == "v1alpha1"


@pytest.mark.parametrize("plural", MODELS)
def test_only_incidents_have_a_status(plural: str) -> None:
    assert ("status" in version(plural).get("subresources", {})) == (plural == "incidents")


@pytest.mark.parametrize("plural", MODELS)
def test_printed_columns_exist_in_the_schema(plural: str) -> None:
    known = {place.path for place in places(plural)} | {".metadata.creationTimestamp"}
    columns = version(plural)["additionalPrinterColumns"]
    assert {column["jsonPath"].replace("[-1]", "[]") for column in columns} <= known
    assert columns[-1] == {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def test_the_kind_of_an_incidents_workload_is_printed_where_there_is_room() -> None:
    columns = {column["name"]: column for column in version("incidents")["additionalPrinterColumns"]}
    assert columns["Kind"] == {
        "name": "Kind", "type": "string", "jsonPath": ".spec.workload.kind", "priority": 1
    }  # fmt: skip


def test_every_outcome_is_explained_beside_the_definitions() -> None:
    text = (CHECKOUT / "deploy/base/crds/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z]\w+)` \| [^|]+ \|$", text, re.MULTILINE)) == set(Outcome)


def test_short_names_are_unique() -> None:
    short = [name for plural in MODELS for name in definition(plural)["spec"]["names"]["shortNames"]]
    assert len(short) == len(set(short))
