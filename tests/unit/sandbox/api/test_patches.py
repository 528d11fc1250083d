"""Patches do what the real server's do, down to where it is laxer than the RFC."""

from __future__ import annotations

from typing import Any

import pytest

from responder.sandbox.api.patches import (
    apply_json_patch,
    apply_merge_patch,
    apply_strategic_merge_patch,
)
from responder.sandbox.api.status import ApiError

DOCUMENT: dict[str, Any] = {
    "metadata": {"name": "a", "labels": {"x/y": "1"}, "resourceVersion": "7"},
    "spec": {"replicas": 1, "list": ["a", "b"]},
}


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "replace", "path": "/spec/replicas", "value": 2}, ("spec", "replicas"), 2),
        ({"op": "replace", "path": "/spec/absent", "value": 1}, ("spec", "absent"), 1),
        ({"op": "add", "path": "/metadata/labels/p~1q", "value": "2"}, ("metadata", "labels", "p/q"), "2"),
        ({"op": "add", "path": "/spec/list/-", "value": "c"}, ("spec", "list"), ["a", "b", "c"]),
        ({"op": "add", "path": "/spec/list/0", "value": "c"}, ("spec", "list"), ["c", "a", "b"]),
        ({"op": "remove", "path": "/spec/list/0"}, ("spec", "list"), ["b"]),
        ({"op": "move", "from": "/spec/list/0", "path": "/spec/first"}, ("spec", "first"), "a"),
        ({"op": "copy", "from": "/spec/list", "path": "/spec/twin"}, ("spec", "twin"), ["a", "b"]),
        ({"op": "test", "path": "/spec/absent", "value": None}, ("spec", "replicas"), 1),
        ({"op": "test", "path": "/metadata/labels", "value": {"x/y": "1"}}, ("spec", "replicas"), 1),
    ],
)
def test_json_patch_operations(operation: dict[str, Any], path: tuple[str, ...], expected: object) -> None:
    patched = apply_json_patch(DOCUMENT, [operation])
    for name in path:
        patched = patched[name]
    assert patched == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/metadata/resourceVersion", "value": 7},
        {"op": "test", "path": "/spec/replicas", "value": True},
        {"op": "test", "path": "/spec/absent/deeper", "value": None},
        {"op": "test", "path": "/spec/list", "value": ["b", "a"]},
        {"op": "replace", "path": "/absent/member", "value": 1},
        {"op": "replace", "path": "/spec/list/2", "value": 1},
        {"op": "add", "path": "/absent/member", "value": 1},
        {"op": "add", "path": "/spec/list/3", "value": 1},
        {"op": "remove", "path": "/spec/absent"},
        {"op": "increase", "path": "/spec/replicas", "value": 1},
        {"op": "add", "path": "spec", "value": 1},
    ],
)
def test_every_failed_step_is_the_same_422_with_empty_details(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        apply_json_patch(DOCUMENT, [operation])
    assert refused.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }


def test_a_failed_step_leaves_the_document_alone() -> None:
    before = {"spec": {"replicas": 1}}
    steps = [
        {"op": "replace", "path": "/spec/replicas", "value": 2},
        {"op": "test", "path": "/spec/replicas", "value": 1},
    ]
    with pytest.raises(ApiError):
        apply_json_patch(before, steps)
    assert before == {"spec": {"replicas": 1}}


@pytest.mark.parametrize(("operations", "code"), [({"op": "add"}, 400), ([{}] * 10_001, 413)])
def test_what_is_no_list_of_operations_is_refused(operations: object, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        apply_json_patch(DOCUMENT, operations)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"a": None}, {"b": {"c": 1}}),
        ({"b": {"c": None, "d": 2}}, {"a": 1, "b": {"d": 2}}),
        ({"new": {"x": None, "y": 1}}, {"a": 1, "b": {"c": 1}, "new": {"y": 1}}),
        ({"a": [1]}, {"a": [1], "b": {"c": 1}}),
    ],
)
def test_merge_patch(patch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert apply_merge_patch({"a": 1, "b": {"c": 1}}, patch) == expected


CONTAINERS = {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"containers": [{"name": "b", "image": "b:2"}]}, [("a", "a:1"), ("b", "b:2")]),
        ({"containers": [{"name": "c", "image": "c:1"}]}, [("a", "a:1"), ("b", "b:1"), ("c", "c:1")]),
        ({"containers": [{"name": "a", "$patch": "delete"}]}, [("b", "b:1")]),
        ({"containers": [{"$patch": "replace"}, {"name": "c", "image": "c:1"}]}, [("c", "c:1")]),
        (
            {
                "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                "containers": [{"name": "a", "image": "a:2"}],
            },
            [("b", "b:1"), ("a", "a:2")],
        ),
        ({"$patch": "replace", "containers": [{"name": "c", "image": "c:1"}]}, [("c", "c:1")]),
    ],
)
def test_strategic_merge_patch_merges_lists_by_key(patch: dict[str, Any], expected: list[object]) -> None:
    patched = apply_strategic_merge_patch(CONTAINERS, patch)
    assert [(item["name"], item["image"]) for item in patched["containers"]] == expected


def test_a_list_without_a_merge_key_is_replaced_whole() -> None:
    """Source: Kubernetes staging/src/k8s.io/api/core/v1/types.go: NodeSpec.Taints has no patch strategy."""
    node = {"spec": {"taints": [{"key": "a"}, {"key": "b"}]}}
    patch = {"spec": {"taints": [{"key": "a"}]}}
    assert apply_strategic_merge_patch(node, patch) == patch
