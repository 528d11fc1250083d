"""Lists: selectors, pages that all show one version, and what resourceVersion means for them.

Pure but for the store that is read. Called by the verbs.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from responder.sandbox.api import status
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.selectors import (
    FieldSelector,
    LabelSelector,
    parse_field_selector,
    parse_label_selector,
)
from responder.sandbox.api.status import ApiError, bad_request, forbidden_value, unsupported_value
from responder.sandbox.api.store import Store
from responder.sandbox.api.target import whole_number
from responder.sandbox.api.views import outside

_EXPIRED_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list"
    " without the continue parameter, or use the continue token in this response to retrieve the remainder of"
    " the results. Continuing with the provided token results in an inconsistent list - objects that were"
    " created, modified, or deleted between the time the first chunk was returned and now may show up in the"
    " list."
)
_EXPIRED_VERSION = "The resourceVersion for the provided list is too old."


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects a list or watch is about."""

    resource: Resource
    namespace: str | None
    labels: LabelSelector
    fields: FieldSelector

    @property
    def selects(self) -> bool:
        """Tell whether a selector is given."""
        return bool(self.labels.requirements or self.fields.terms)

    def includes(self, obj: Object) -> bool:
        """Tell whether a stored object of the resource is meant."""
        if self.namespace is not None and namespace_of(obj) != self.namespace:
            return False
        return self.labels.matches(obj) and self.fields.matches(outside(self.resource, obj))


def parse_selection(resource: Resource, namespace: str, query: Mapping[str, str]) -> Selection:
    """Read the selectors of a list or watch; ApiError 400 when they make no sense."""
    fields = parse_field_selector(query.get("fieldSelector", ""), resource)
    labels = parse_label_selector(query.get("labelSelector", ""))
    return Selection(resource, namespace or None, labels, fields)


def requested_version(query: Mapping[str, str]) -> int | None:
    """Return the resourceVersion that is asked for, None without one; ApiError 400 for what is no number."""
    text = query.get("resourceVersion", "")
    if not text:
        return None
    if not text.isdigit():
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": {why}')
    return int(text)


def check_list_options(query: Mapping[str, str]) -> None:
    """Return when the parameters of a list fit each other; ApiError 422 otherwise."""
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    cause = None
    if query.get("sendInitialEvents"):
        cause = forbidden_value("sendInitialEvents", "sendInitialEvents is forbidden for list")
    elif match and not version:
        detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        cause = forbidden_value("resourceVersionMatch", detail)
    elif match and match not in ("Exact", "NotOlderThan"):
        cause = unsupported_value("resourceVersionMatch", match, ("Exact", "NotOlderThan", ""))
    elif match == "Exact" and version == "0":
        detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        cause = forbidden_value("resourceVersionMatch", detail)
    if cause is not None:
        raise status.invalid_options("ListOptions", [cause])


def select_page(
    store: Store, selection: Selection, query: Mapping[str, str]
) -> tuple[Sequence[Object], dict[str, Any]]:
    """Return the objects of one page, uncopied, and the metadata of the list.

    Raises ApiError 400 for bad parameters, 410 when the version the list stands at is forgotten.
    """
    version = requested_version(query)
    # The real server takes less than nothing for no limit.
    limit = max(0, whole_number(query, "limit"))
    token = query.get("continue", "")
    after: tuple[str, str] | None = None
    if token:
        if version:
            raise bad_request("specifying resource version is not allowed when using continue")
        at, after = _parse_token(token)
    else:
        # With a limit and no other word, a version is meant exactly.
        exact = query.get("resourceVersionMatch", "Exact" if limit else "") == "Exact"
        at = version if exact and version else store.resource_version
        # From the cache a list comes whole.
        limit = 0 if version == 0 else limit
    items = [obj for obj in _objects(store, selection, at, after) if selection.includes(obj)]
    left = [obj for obj in items if after is None or (namespace_of(obj), name_of(obj)) > after]
    page = left[:limit] if limit else left
    metadata: dict[str, Any] = {"resourceVersion": str(at or store.resource_version)}
    if len(page) < len(left):
        last = page[-1]
        metadata["continue"] = _token(at or store.resource_version, (namespace_of(last), name_of(last)))
        if not selection.selects:
            metadata["remainingItemCount"] = len(left) - len(page)
    return page, metadata


def _objects(store: Store, selection: Selection, at: int, after: tuple[str, str] | None) -> Sequence[Object]:
    key = selection.resource.storage_key
    present = store.scan(key, selection.namespace)
    if at in (0, store.resource_version):
        return list(present)
    try:
        return store.history.objects_at(at, key, present)
    except ApiError:
        if after is None:
            raise status.expired(_EXPIRED_VERSION) from None
        raise status.expired(_EXPIRED_CONTINUE, _token(0, after)) from None


def _token(version: int, last: tuple[str, str]) -> str:
    # Version 0 stands for whatever is current: such a token goes on in today's list.
    raw = json.dumps({"v": "meta.k8s.io/v1", "rv": version or -1, "start": "/".join(last)})
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def _parse_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        raw = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = raw["start"].partition("/")
        return max(int(raw["rv"]), 0), (namespace, name)
    except (ValueError, KeyError, TypeError, binascii.Error):
        why = "invalid character '\\u009e' looking for beginning of value"
        raise bad_request(f"invalid continue token: continue key is not valid: {why}") from None
