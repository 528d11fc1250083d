"""Reads the protobuf bodies that kubectl's typed commands send, and turns them into JSON objects.

Pure. Only messages that such commands create are described; answers are always JSON, which every client of
the API takes as well. Called for request bodies.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from responder.sandbox.api.protobuf_messages import MESSAGES
from responder.sandbox.api.status import ApiError, bad_request

PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
# How a field is written, and how many bytes it takes where that is fixed (of _BYTES the message tells).
_VARINT, _BYTES = 0, 2
_SIZES = {1: 8, _BYTES: 0, 5: 4}
_INT64_SIGN = 1 << 63


def decode_protobuf(body: bytes) -> dict[str, Any]:
    """Return the object in a protobuf envelope; ApiError 400 for a broken one, 415 for an unknown kind."""
    if not body.startswith(_MAGIC):
        raise bad_request("the body is no protobuf object: it does not begin with the four bytes of one")
    try:
        envelope = dict(_fields(body[len(_MAGIC) :]))
        identity = {number: value.decode() for number, value in _fields(envelope[1])}
        kind = identity[2]
        if kind not in MESSAGES:
            message = f"the sandbox reads no {kind} in protobuf: send it as application/json"
            raise ApiError(415, "UnsupportedMediaType", message)
        return {"apiVersion": identity[1], "kind": kind, **_message(kind, envelope.get(2, b""))}
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise bad_request(f"the protobuf body is malformed: {error}") from None


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and the raw value (int or bytes) of each field in order."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire not in _SIZES:
            raise ValueError(f"wire type {wire} is not in use")
        size, at = _varint(data, at) if wire == _BYTES else (_SIZES[wire], at)
        if at + size > len(data):
            raise ValueError("a field is longer than the message")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")


def _message(name: str, data: bytes) -> dict[str, Any]:
    known = MESSAGES[name]
    found: dict[str, Any] = {}
    for number, raw in _fields(data):
        field = known.get(number)
        if field is None:
            continue
        if field.kind in ("map", "bytemap", "quantities"):
            entry = dict(_fields(raw))
            found.setdefault(field.name, {})[entry.get(1, b"").decode()] = _text(
                field.kind, entry.get(2, b"")
            )
        elif field.repeated:
            found.setdefault(field.name, []).append(_value(field.kind, raw))
        else:
            single = _value(field.kind, raw)
            # Go sends the zero of every plain field, and its JSON leaves it out; a pointer's zero is meant.
            if field.optional or single not in ("", 0, False):
                found[field.name] = single
    return found


def _text(kind: str, raw: bytes) -> str:
    match kind:
        case "bytemap":
            return base64.b64encode(raw).decode()
        case "quantities":
            # A quantity is a message whose one field is its text.
            return str(dict(_fields(raw)).get(1, b"").decode())
        case _:
            return raw.decode()


def _value(kind: str, raw: Any) -> Any:
    match kind:
        case "string":
            return raw.decode()
        case "int":
            return raw - (1 << 64) if raw >= _INT64_SIGN else raw
        case "bool":
            return bool(raw)
        case "intstr":
            parts = dict(_fields(raw))
            is_text = parts.get(1, 0) == 1
            return parts.get(3, b"").decode() if is_text else _value("int", parts.get(2, 0))
        case _:
            return _message(kind, raw)
