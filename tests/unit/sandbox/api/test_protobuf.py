"""Protobuf bodies: what Go's zeros mean, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from responder.sandbox.api.protobuf import decode_protobuf
from responder.sandbox.api.status import ApiError


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def text(number: int, value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def number(at: int, value: int) -> bytes:
    return varint(at << 3) + varint(value)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    identity = text(1, api_version) + text(2, kind)
    return b"k8s\x00" + text(1, identity) + text(2, raw) + text(3, "") + text(4, "")


def test_a_review_as_kubectl_sends_it() -> None:
    attributes = text(1, "shop") + text(2, "get") + text(3, "apps") + text(4, "") + text(5, "deployments")
    body = envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", text(2, text(1, attributes)))
    assert decode_protobuf(body) == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {
            "resourceAttributes": {
                "namespace": "shop",
                "verb": "get",
                "group": "apps",
                "resource": "deployments",
            }
        },
    }


def decoded(kind: str, raw: bytes) -> dict[str, Any]:
    found = decode_protobuf(envelope("v1", kind, raw))
    return {name: value for name, value in found.items() if name not in ("apiVersion", "kind")}


def test_zeros_of_pointers_count_and_zeros_of_values_do_not() -> None:
    assert decoded("Deployment", text(2, number(1, 0) + number(5, 0) + number(7, 0))) == {
        "spec": {"replicas": 0}
    }
    assert decoded("Deployment", text(2, number(7, 1))) == {"spec": {"paused": True}}


def test_maps_bytes_lists_and_either_or() -> None:
    pair = text(1, "a") + text(2, "b")
    assert decoded("ConfigMap", text(2, pair) + text(3, pair)) == {
        "data": {"a": "b"},
        "binaryData": {"a": "Yg=="},
    }
    limit = text(1, "pods") + text(2, text(1, "4"))
    assert decoded("ResourceQuota", text(2, text(1, limit))) == {"spec": {"hard": {"pods": "4"}}}
    port = number(3, 80) + text(4, number(1, 1) + text(3, "http"))
    by_number = number(3, 81) + text(4, number(1, 0) + number(2, 8081) + text(3, ""))
    assert decoded("Service", text(2, text(1, port) + text(1, by_number))) == {
        "spec": {"ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]}
    }
    negative = (1 << 64) - 5
    assert decoded("TokenRequest", text(2, number(4, negative))) == {"spec": {"expirationSeconds": -5}}


def test_unknown_fields_of_any_wire_type_are_passed_over() -> None:
    odd = varint(90 << 3 | 1) + b"8 bytes." + varint(91 << 3 | 5) + b"four" + text(92, "x") + number(93, 1)
    assert decoded("Namespace", odd + text(1, text(1, "away"))) == {"metadata": {"name": "away"}}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", 400),
        (b"k8s\x00", 400),
        (b"k8s\x00\xff", 400),
        (b"k8s\x00" + text(1, text(1, "v1") + text(2, "ConfigMap")) + b"\x12\xff\x01", 400),
        (envelope("v1", "ConfigMap", varint(1 << 3 | 3)), 400),
        (envelope("v1", "ConfigMap", b"\xff" * 12), 400),
        (envelope("v1", "Widget", b""), 415),
    ],
)
def test_what_is_no_such_body_is_refused(body: bytes, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        decode_protobuf(body)
    assert refused.value.code == code
