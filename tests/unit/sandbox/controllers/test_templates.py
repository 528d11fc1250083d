"""When two pod templates are one to the Deployment controller, and when two hashes must differ."""

from __future__ import annotations

import pytest

from responder.sandbox.api.objects import Object
from responder.sandbox.controllers.templates import equal_templates, template_hash


def template(**container: object) -> Object:
    """A template of one container."""
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", **container}]}}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (template(image="a:1"), template(image="a:2"), False),
        (template(env=[]), template(), True),
        (template(env=None), template(), True),
        (template(resources={"limits": {}}), template(), True),
        (
            template(resources={"requests": {"cpu": "1000m"}}),
            template(resources={"requests": {"cpu": 1}}),
            True,
        ),
        (
            template(resources={"requests": {"cpu": "1Gi"}}),
            template(resources={"requests": {"cpu": "1G"}}),
            False,
        ),
        (template(securityContext={}), template(), False),
        (template(args=["a", "b"]), template(args=["b", "a"]), False),
        (template(readOnly=0), template(), False),
    ],
)
def test_equality_is_semantic(one: Object, other: Object, equal: bool) -> None:
    assert equal_templates(one, other) is equal
    assert (template_hash(one, None) == template_hash(other, None)) is equal


def test_the_hash_label_is_left_aside_and_other_labels_are_not() -> None:
    labelled = template()
    labelled["metadata"]["labels"]["pod-template-hash"] = "5d588ff5f9"
    assert equal_templates(labelled, template())
    labelled["metadata"]["labels"]["version"] = ""
    assert not equal_templates(labelled, template())


def test_a_collision_count_changes_the_hash() -> None:
    hashes = {template_hash(template(), count) for count in (None, 0, 1)}
    assert len(hashes) == 3
    assert all(set(each) <= set("456789bcdf") for each in hashes)
