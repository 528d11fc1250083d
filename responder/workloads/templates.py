"""When two pod templates are the same to the Deployment controller. Pure.

Source: Kubernetes pkg/controller/deployment/util EqualIgnoreHash and apimachinery api/equality.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from itertools import repeat
from typing import Any

Template = dict[str, Any]

HASH_LABEL = "pod-template-hash"

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
# The maps of a pod template whose values are quantities.
_QUANTITY_MAPS = ("limits", "requests", "overhead")


def without_hash(template: Template) -> Template:
    """The template as a Deployment holds it: a copy without the label pod-template-hash."""
    metadata = dict(template.get("metadata") or {})
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    metadata.pop("labels", None)
    if labels:
        metadata["labels"] = labels
    return {**template, "metadata": metadata}


def same_template(left: Template, right: Template) -> bool:
    """True when the controller would take both for one revision.

    Null, empty and absent are the same, quantities compare by value, lists in order.
    """
    return _same(without_hash(left), without_hash(right), "")


def _same(left: Any, right: Any, key: str) -> bool:
    """Whether both are the same under that key; of what is the same to the letter nothing is looked into."""
    if left == right:
        return True
    if isinstance(left, dict) and isinstance(right, dict) and key not in _QUANTITY_MAPS:
        return all(_same(left.get(name), right.get(name), name) for name in left.keys() | right.keys())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right, repeat("")))
    return bool(_normal(left, key) == _normal(right, key))


def _normal(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        if key in _QUANTITY_MAPS:
            return {k: _quantity(v) for k, v in value.items()} or None
        entries = ((k, _normal(v, k)) for k, v in value.items())
        return {k: v for k, v in entries if v is not None} or None
    if isinstance(value, list):
        return [_normal(item, "") for item in value] or None
    return None if value == "" else value


def _quantity(value: Any) -> Any:
    """A quantity's value, or the text itself where it is none."""
    text = str(value)
    digits = text.rstrip("numkMGTPEi")
    suffix = text[len(digits) :]
    try:
        return Decimal(digits) * _SUFFIXES[suffix]
    except (InvalidOperation, KeyError):
        return text
