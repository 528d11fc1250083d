"""Selectors mean what the real server takes them to mean, and are refused in its words."""

from __future__ import annotations

import pytest

from responder.sandbox.api.resources import Catalog
from responder.sandbox.api.selectors import (
    label_selector_of,
    parse_field_selector,
    parse_label_selector,
    selector_text,
)
from responder.sandbox.api.status import ApiError

CATALOG = Catalog()
FRONT = {"metadata": {"name": "a", "namespace": "n", "labels": {"tier": "front", "size": "3"}}}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("tier=front", True),
        ("tier==front,size=3", True),
        ("tier!=front", False),
        ("absent!=x", True),
        ("tier in (front, back)", True),
        ("tier notin (front)", False),
        ("absent notin (x)", True),
        ("tier", True),
        ("!tier", False),
        ("!absent", True),
        ("absent=", False),
        ("size>2", True),
        ("size<3", False),
        ("tier>1", False),
    ],
)
def test_label_selectors(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(FRONT) is matches


@pytest.mark.parametrize("text", ["=x", "a b=c", "tier in front", "tier=front back", "-a=b", "tier>x"])
def test_bad_label_selectors_are_400(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_label_selector(text)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("key", "text", "matches"),
    [
        ("pods", "status.phase=Running", True),
        ("pods", "status.phase!=Running", False),
        ("pods", "spec.nodeName=", True),
        ("pods", "metadata.name=a,metadata.namespace=n", True),
        ("deployments.apps", "metadata.name=b", False),
    ],
)
def test_field_selectors(key: str, text: str, matches: bool) -> None:
    resource = CATALOG.by_key(key)
    assert resource is not None
    selector = parse_field_selector(text, resource)
    assert selector.matches({**FRONT, "status": {"phase": "Running"}}) is matches


@pytest.mark.parametrize(
    ("key", "words"),
    [("deployments.apps", "is not a known field selector"), ("pods", "field label not supported")],
)
def test_fields_that_are_not_known_are_400(key: str, words: str) -> None:
    resource = CATALOG.by_key(key)
    assert resource is not None
    with pytest.raises(ApiError, match=words):
        parse_field_selector("spec.paused=true", resource)


def test_a_spec_s_selector_reads_and_writes_alike() -> None:
    selector = {
        "matchLabels": {"tier": "front"},
        "matchExpressions": [{"key": "size", "operator": "In", "values": ["4", "3"]}],
    }
    assert selector_text(selector) == "size in (3,4),tier=front"
    assert label_selector_of(selector).matches(FRONT)
    assert not label_selector_of(None).matches(FRONT)


@pytest.mark.parametrize(
    ("text", "size", "matches"),
    [
        ("size in ()", "", True),
        ("size in ()", "4", False),
        ("size in (4,)", "", True),
        ("size in (,4)", "4", True),
        ("size notin (4,,5)", "", False),
    ],
)
def test_an_empty_place_in_a_list_means_the_empty_value(text: str, size: str, *, matches: bool) -> None:
    """Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/labels/selector.go, parseValues."""
    assert parse_label_selector(text).matches({"metadata": {"labels": {"size": size}}}) is matches


@pytest.mark.parametrize("text", ["a=b/c", "a in (x/y)", "a=" + "x" * 64, "a!=-b", "a in (b c)"])
def test_values_that_no_label_can_have_are_400(text: str) -> None:
    with pytest.raises(ApiError, match="unable to parse requirement") as refused:
        parse_label_selector(text)
    assert refused.value.code == 400
