"""What names, labels and selectors may look like, in the real server's words.

Pure. Used by the rules of all kinds, and where selectors are read from a query.
Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go, apis/meta/v1/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import Cause, forbidden_value, invalid_value, required_value

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and"
    " end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must"
    " start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
    " start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used"
    " for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_BYTES = 253
LABEL_BYTES = 63
_NAMES_AS_LABELS = frozenset({"namespaces", "services"})
_STANDARD_FINALIZERS = frozenset({"foregroundDeletion", "orphan", "kubernetes"})
_FREE_NAMES = frozenset(
    {"roles", "clusterroles", "rolebindings", "clusterrolebindings"}  # path segments, so colons are fine
)


def qualified_name_faults(name: str) -> Iterator[str]:
    """Yield what is wrong with the key of a label or annotation, or a name written alike."""
    prefix, slash, part = name.rpartition("/")
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or "/" in prefix):
        yield f"prefix part {_SUBDOMAIN_TEXT}" if prefix else "prefix part must be non-empty"
    if not part:
        yield "name part must be non-empty"
    elif len(part.encode()) > LABEL_BYTES:
        yield f"name part must be no more than {LABEL_BYTES} bytes"
    if not _QUALIFIED.fullmatch(part):
        yield _QUALIFIED_TEXT


def label_causes(labels: dict[str, Any], field: str) -> Iterator[Cause]:
    """Yield what is wrong with a map of labels."""
    for key, value in sorted(labels.items()):
        for fault in qualified_name_faults(key):
            yield invalid_value(field, key, fault)
        for fault in label_value_faults(str(value)):
            yield invalid_value(field, str(value), fault)


def label_value_faults(text: str) -> Iterator[str]:
    """Yield what is wrong with the value of a label."""
    if len(text.encode()) > LABEL_BYTES:
        yield f"must be no more than {LABEL_BYTES} bytes"
    elif text and not _QUALIFIED.fullmatch(text):
        yield _LABEL_VALUE_TEXT


def selector_causes(selector: dict[str, Any], field: str) -> Iterator[Cause]:
    """Yield what is wrong with a metav1.LabelSelector."""
    yield from label_causes(selector.get("matchLabels") or {}, f"{field}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        yield from _expression_causes(expression, f"{field}.matchExpressions[{index}]")


def _expression_causes(expression: dict[str, Any], field: str) -> Iterator[Cause]:
    operator, values = expression.get("operator") or "", expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield required_value(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden_value(f"{field}.values", detail)
    else:
        yield invalid_value(f"{field}.operator", operator, "not a valid selector operator")
    key = expression.get("key") or ""
    for fault in qualified_name_faults(key):
        yield invalid_value(f"{field}.key", key, fault)
    for index, value in enumerate(values):
        for fault in label_value_faults(str(value)):
            yield invalid_value(f"{field}.values[{index}]", value, fault)


def is_odd_finalizer(name: str) -> bool:
    """Tell whether a finalizer is neither one of the standard ones nor qualified by a domain."""
    return "/" not in name and name not in _STANDARD_FINALIZERS


def name_causes(resource: Resource, name: str) -> Iterator[Cause]:
    """Yield what is wrong with the name of a new object."""
    if not name:
        yield required_value("metadata.name", "name or generateName is required")
    elif resource.key in _NAMES_AS_LABELS:
        if len(name) > LABEL_BYTES:
            yield invalid_value("metadata.name", name, f"must be no more than {LABEL_BYTES} bytes")
        if not LABEL.fullmatch(name):
            yield invalid_value("metadata.name", name, LABEL_TEXT)
    elif resource.plural not in _FREE_NAMES:
        if len(name) > _NAME_BYTES:
            yield invalid_value("metadata.name", name, f"must be no more than {_NAME_BYTES} bytes")
        if not _SUBDOMAIN.fullmatch(name):
            yield invalid_value("metadata.name", name, _SUBDOMAIN_TEXT)
