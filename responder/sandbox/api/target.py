"""What a URL means: which resource, which object, which subresource, which verb.

Pure. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from responder.sandbox.api.access import Attributes
from responder.sandbox.api.status import bad_request

_OWN_SUBRESOURCES = ("status", "finalize")
_OBJECT_VERBS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}
_ONE_NAME = re.compile(r"(?:^|,)metadata\.name==?([^,=!/%]+)(?:,|$)")
_TRUE = ("1", "true", "True", "t", "T", "TRUE")


@dataclass(frozen=True, slots=True)
class Target:
    """A path below /api or /apis that names a resource; verb is what the method does there, "" if nothing."""

    group: str
    version: str
    plural: str
    namespace: str
    name: str
    subresource: str
    verb: str
    # The one object that a list or watch is limited to by its field selector.
    selected: str = ""

    def attributes(self) -> Attributes:
        """Return what a rule has to allow for this."""
        return Attributes(
            verb=self.verb,
            group=self.group,
            resource=self.plural,
            subresource=self.subresource,
            namespace=self.name if self.plural == "namespaces" else self.namespace,
            name=self.name or self.selected,
        )


def parse_target(method: str, path: str, query: Mapping[str, str]) -> Target | None:
    """Return what path names, None for one that names no resource (discovery, health, nothing)."""
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    deprecated_watch = rest[0] == "watch"
    if deprecated_watch:
        rest = rest[1:] or [""]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (not group and rest[2] in _OWN_SUBRESOURCES):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = rest[0], _at(rest, 1), "/".join(rest[2:])
    verb = _verb(method, name, subresource, query)
    if deprecated_watch:
        verb = "watch" if verb in ("list", "watch") else ""
    selected = _selected_name(query) if verb in ("list", "watch") else ""
    return Target(group, version, plural, namespace, name, subresource, verb, selected)


def is_true(text: str | None) -> bool:
    """Read a boolean parameter as Go does; anything odd is false."""
    return text in _TRUE


def whole_number(query: Mapping[str, str], name: str) -> int:
    """Read a whole number as Go does, 0 where none is given; ApiError 400 for anything else."""
    text = query.get(name) or "0"
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _verb(method: str, name: str, subresource: str, query: Mapping[str, str]) -> str:
    if name:
        return "create" if method == "POST" and subresource else _OBJECT_VERBS.get(method, "")
    verb = _COLLECTION_VERBS.get(method, "")
    return "watch" if verb == "list" and is_true(query.get("watch")) else verb


def _selected_name(query: Mapping[str, str]) -> str:
    """Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go."""
    found = _ONE_NAME.search(query.get("fieldSelector", ""))
    return found[1] if found else ""


def _at(parts: list[str], index: int) -> str:
    return parts[index] if index < len(parts) else ""
