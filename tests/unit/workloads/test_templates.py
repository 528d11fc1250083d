"""When two pod templates are one revision to the Deployment controller."""

from __future__ import annotations

from typing import Any

import pytest

from responder.workloads.templates import same_template, without_hash


def template(container: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"containers": [{"name": "app", **container}]}}


def limits(cpu: Any) -> dict[str, Any]:
    return template({"resources": {"limits": {"cpu": cpu}}})


HASHED = template({}, labels={"app": "a", "pod-template-hash": "abc"})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (template({"image": "a:1"}), template({"image": "a:1"})),
        (HASHED, template({}, labels={"app": "a"})),
        (template({}, labels={"pod-template-hash": "abc"}), template({})),
        (template({"env": []}), template({})),
        (template({"env": None}), template({})),
        (template({"workingDir": ""}), template({})),
        (template({"env": [{"name": "A", "value": ""}]}), template({"env": [{"name": "A"}]})),
        (template({}, creationTimestamp=None), template({})),
        (limits("1"), limits(1)),
        (limits("1000m"), limits("1")),
        (limits("1Gi"), limits("1024Mi")),
        (limits("0.5"), limits("500m")),
    ],
)
def test_the_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert same_template(left, right)
    assert same_template(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (template({"image": "a:1"}), template({"image": "a:2"})),
        (template({}, labels={"app": "a"}), template({}, labels={"app": "b"})),
        (template({}, annotations={"restartedAt": "now"}), template({})),
        (template({"args": ["a", "b"]}), template({"args": ["b", "a"]})),
        (template({"args": ["a", "b"]}), template({"args": ["a"]})),
        (template({"ports": [{"containerPort": 0}]}), template({"ports": [{}]})),
        (template({"tty": False}), template({"tty": True})),
        (limits("1"), limits("1m")),
        (limits("1G"), limits("1Gi")),
        # Not a quantity, though it looks like one.
        (template({}, labels={"cpu": "1"}), template({}, labels={"cpu": "1000m"})),
    ],
)
def test_different(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert not same_template(left, right)


def test_only_the_hash_label_goes_and_the_original_stays() -> None:
    assert without_hash(HASHED) == template({}, labels={"app": "a"})
    assert HASHED["metadata"]["labels"]["pod-template-hash"] == "abc"
    assert "labels" not in without_hash(template({}, labels={"pod-template-hash": "abc"}))["metadata"]
