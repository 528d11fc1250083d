"""Server-side apply: merging, owning, conflicting, giving up; and who owns what after other writes."""

from __future__ import annotations

from typing import Any

import pytest

from responder.sandbox.api.apply import Applier, apply_new, apply_to
from responder.sandbox.api.field_sets import difference, fields_of, from_fields, path_text, to_fields
from responder.sandbox.api.managed_fields import record_manager
from responder.sandbox.api.objects import Object
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.structure import Structure

BUILT_IN = Structure()
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "steps": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {}, "done": {}}},
                },
                "plain": {"type": "array", "items": {"type": "string"}},
                "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {}}},
            },
        }
    },
}
CUSTOM = Structure(SCHEMA)


def applier(manager: str = "one", *, force: bool = False) -> Applier:
    return Applier(manager, "apps/v1", "", force, "2026-01-01T00:00:00Z")


def container(**members: Any) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", **members}]}}}}


def applied(structure: Structure, obj: Object, by: Applier) -> Object:
    """What an apply of obj creates."""
    return {**obj, "metadata": {"managedFields": apply_new(structure, obj, by)}}


def apply(structure: Structure, current: Object, obj: Object, by: Applier) -> Object:
    """The object after somebody applied."""
    merged, entries = apply_to(structure, current, obj, obj, by)
    return {**merged, "metadata": {**merged.get("metadata", {}), "managedFields": entries}}


def owners(obj: Object) -> dict[str, list[str]]:
    """The fields that each manager owns, as conflicts name them."""
    return {
        entry["manager"]: sorted(path_text(path) for path in from_fields(entry["fieldsV1"]))
        for entry in obj["metadata"].get("managedFields", [])
    }


def test_field_sets_name_leaves_and_keyed_entries() -> None:
    obj = container(
        image="app:1", ports=[{"containerPort": 80}], env=[{"name": "A", "value": "1"}], args=["x"]
    )
    where = '.spec.template.spec.containers[name="app"]'
    assert sorted(path_text(path) for path in fields_of(BUILT_IN, obj)) == [
        where,
        f"{where}.args",
        f'{where}.env[name="A"]',
        f'{where}.env[name="A"].name',
        f'{where}.env[name="A"].value',
        f"{where}.image",
        f"{where}.name",
        f'{where}.ports[containerPort=80,protocol="TCP"]',
        f'{where}.ports[containerPort=80,protocol="TCP"].containerPort',
    ]


def test_schemas_say_what_is_one_whole() -> None:
    obj = {"spec": {"tags": ["a"], "steps": [{"name": "s", "done": True}], "plain": ["p"], "whole": {"a": 1}}}
    assert sorted(path_text(path) for path in fields_of(CUSTOM, obj)) == [
        ".spec.plain",
        '.spec.steps[name="s"]',
        '.spec.steps[name="s"].done',
        '.spec.steps[name="s"].name',
        '.spec.tags[="a"]',
        ".spec.whole",
    ]


def test_fields_survive_being_written_down() -> None:
    paths = fields_of(BUILT_IN, container(image="app:1", env=[{"name": "A"}]))
    assert from_fields(to_fields(paths)) == paths
    assert to_fields([("f:spec",)]) == {"f:spec": {}}
    assert to_fields([("f:a",), ("f:a", "f:b")]) == {"f:a": {".": {}, "f:b": {}}}


def test_difference_tells_changed_from_removed() -> None:
    old = container(image="app:1", env=[{"name": "A", "value": "1"}])
    found = difference(BUILT_IN, old, container(image="app:2"))
    assert {path_text(path)[-6:] for path in found.changed} == {".image"}
    assert any(path_text(path).endswith('.env[name="A"].value') for path in found.removed)
    assert difference(BUILT_IN, old, old).changed == set()


def test_two_own_what_both_say() -> None:
    first = applied(BUILT_IN, {"spec": {"replicas": 2}}, applier("one"))
    second = apply(BUILT_IN, first, {"spec": {"replicas": 2}}, applier("two"))
    assert owners(second) == {"one": [".spec.replicas"], "two": [".spec.replicas"]}


def test_another_value_is_a_conflict_unless_forced() -> None:
    first = applied(BUILT_IN, container(image="app:1"), applier("one"))
    with pytest.raises(ApiError) as refused:
        apply(BUILT_IN, first, container(image="app:2"), applier("two"))
    field = '.spec.template.spec.containers[name="app"].image'
    assert refused.value.message == f'Apply failed with 1 conflict: conflict with "one": {field}'
    assert refused.value.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": field}]
    }
    forced = apply(BUILT_IN, first, container(image="app:2"), applier("two", force=True))
    assert field not in owners(forced)["one"]
    assert field in owners(forced)["two"]


def test_conflicts_with_several_are_told_by_manager() -> None:
    current = applied(BUILT_IN, {"spec": {"replicas": 1}}, applier("one"))
    patched = {**current, "spec": {"replicas": 1, "minReadySeconds": 5}}
    record_manager(patched, current, BUILT_IN, "human", "apps/v1", "2026-01-01T00:00:01Z")
    with pytest.raises(ApiError) as refused:
        apply(BUILT_IN, patched, {"spec": {"replicas": 2, "minReadySeconds": 6}}, applier("two"))
    assert refused.value.message == (
        'Apply failed with 2 conflicts: conflicts with "human" using apps/v1:\n- .spec.minReadySeconds\n'
        'conflicts with "one":\n- .spec.replicas'
    )


def test_what_is_no_longer_applied_goes_unless_others_own_it() -> None:
    first = applied(BUILT_IN, {"spec": {"replicas": 1, "paused": True, "minReadySeconds": 3}}, applier("one"))
    both = apply(BUILT_IN, first, {"spec": {"paused": True}}, applier("two"))
    less = apply(BUILT_IN, both, {"spec": {"replicas": 1}}, applier("one"))
    assert less["spec"] == {"replicas": 1, "paused": True}
    assert owners(less) == {"one": [".spec.replicas"], "two": [".spec.paused"]}


def test_entries_of_lists_come_and_go_by_their_keys() -> None:
    step = {"name": "a", "done": True}
    first = applied(CUSTOM, {"spec": {"steps": [step], "tags": ["x"]}}, applier("one"))
    second = apply(CUSTOM, first, {"spec": {"steps": [{"name": "b"}], "tags": ["y"]}}, applier("two"))
    assert second["spec"] == {"steps": [step, {"name": "b"}], "tags": ["x", "y"]}
    without = apply(CUSTOM, second, {"spec": {}}, applier("one"))
    assert without["spec"] == {"steps": [{"name": "b"}], "tags": ["y"]}


def test_the_same_again_changes_not_even_the_time() -> None:
    first = applied(BUILT_IN, {"spec": {"replicas": 1}}, applier("one"))
    later = Applier("one", "apps/v1", "", False, "2030-01-01T00:00:00Z")
    assert apply(BUILT_IN, first, {"spec": {"replicas": 1}}, later) == first


def test_a_write_takes_what_it_changes_and_forgets_what_is_gone() -> None:
    first = applied(BUILT_IN, {"spec": {"replicas": 1, "paused": True}}, applier("one"))
    written = {**first, "spec": {"replicas": 2}}
    record_manager(written, first, BUILT_IN, "human", "apps/v1", "2026-01-01T00:00:01Z")
    assert owners(written) == {"human": [".spec.replicas"]}
