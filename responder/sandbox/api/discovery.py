"""What the server says of itself: version, groups, resources, health. All of it is read from the catalog.

Pure. Called by the server for paths that name no resource.
Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from responder.sandbox.api.objects import Object
from responder.sandbox.api.resources import Catalog, Resource
from responder.sandbox.api.reviews import AUTHENTICATION, AUTHORIZATION

VERSION: Object = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.26.6",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_READY_PATHS = ("/healthz", "/livez", "/readyz")
_SUBRESOURCE_VERBS = ["get", "patch", "update"]
_AGGREGATED = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_REVIEWS = (
    (AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    (AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    (AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview"),
)
# What is stored in another version than it is served in.
_STORED_VERSIONS = {
    "events.events.k8s.io": "/v1",
    "customresourcedefinitions.apiextensions.k8s.io": "apiextensions.k8s.io/v1beta1",
}
# Subresources that stand in discovery besides /status and /scale: kind, verbs and the group of the kind.
_MORE: dict[str, tuple[tuple[str, str, str], ...]] = {
    "pods": (("binding", "Binding", ""), ("eviction", "Eviction", "policy")),
    "serviceaccounts": (("token", "TokenRequest", AUTHENTICATION),),
}


def answer_discovery(path: str, accept: str, catalog: Catalog) -> Object | str | None:
    """Return the document or text at a path that names no resource, None when there is nothing."""
    parts = [part for part in path.split("/") if part]
    if path in _READY_PATHS or (parts and f"/{parts[0]}" in _READY_PATHS):
        return "ok"
    match parts:
        case ["version"]:
            return VERSION
        case []:
            return {"paths": sorted(_paths(catalog))}
        case ["api"] if is_aggregated(accept):
            return _aggregated(catalog, core=True)
        case ["apis"] if is_aggregated(accept):
            return _aggregated(catalog, core=False)
        case ["api"]:
            addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}
        case ["apis"]:
            groups = [_group(name, catalog) for name in _groups(catalog) if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in _groups(catalog):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, catalog)}
        case ["api", version]:
            return _resource_list("", version, catalog)
        case ["apis", group, version]:
            return _resource_list(group, version, catalog)
        case _:
            return None


def is_aggregated(accept: str) -> bool:
    """Tell whether the client takes discovery in one document."""
    return _AGGREGATED in accept.replace(" ", "")


def _groups(catalog: Catalog) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for resource in catalog:
        versions = groups.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    for group, _, _ in _REVIEWS:
        groups.setdefault(group, ["v1"])
    return groups


def _group(name: str, catalog: Catalog) -> dict[str, Any]:
    versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in _groups(catalog)[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _paths(catalog: Catalog) -> Iterable[str]:
    yield from ("/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version")
    for group, versions in _groups(catalog).items():
        if group:
            yield f"/apis/{group}"
            yield from (f"/apis/{group}/{version}" for version in versions)


def _resource_list(group: str, version: str, catalog: Catalog) -> Object | None:
    if version not in _groups(catalog).get(group, ()):
        return None
    entries: list[dict[str, Any]] = []
    for resource in sorted(catalog, key=lambda resource: resource.plural):
        if (resource.group, resource.version) == (group, version):
            entries.extend(_entries(resource))
    for owner, plural, kind in _REVIEWS:
        if owner == group:
            entries.append(_entry(plural, kind.lower(), False, kind, ["create"]))
    name = f"{group}/{version}" if group else version
    document: Object = {"kind": "APIResourceList", "groupVersion": name, "resources": entries}
    return document if not group else {**document, "apiVersion": "v1"}


def _entries(resource: Resource) -> Iterable[dict[str, Any]]:
    entry = _entry(
        resource.plural, resource.singular, resource.namespaced, resource.kind, list(resource.verbs)
    )
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    yield {**entry, "storageVersionHash": _storage_version_hash(resource)}
    for name, kind, group, verbs in _subresources(resource):
        part = _entry(f"{resource.plural}/{name}", "", resource.namespaced, kind, verbs)
        if group:
            part = {**part, "group": group, "version": "v1"}
        yield part


def _storage_version_hash(resource: Resource) -> str:
    version = _STORED_VERSIONS.get(resource.key, f"{resource.group}/{resource.version}")
    digest = hashlib.sha256(f"{version}/{resource.kind}".encode()).digest()[:8]
    return b64encode(digest).decode()


def _answered_kind(resource: Resource, group: str, kind: str) -> dict[str, str]:
    """Return the kind that answers; of a built-in resource the real server leaves its own group out."""
    if group:
        return {"group": group, "version": "v1", "kind": kind}
    own = (resource.group, resource.version) if resource.custom else ("", "")
    return {"group": own[0], "version": own[1], "kind": kind}


def _subresources(resource: Resource) -> Iterable[tuple[str, str, str, list[str]]]:
    for name, kind, group in _MORE.get(resource.key, ()):
        yield name, kind, group, ["create"]
    if resource.has_scale:
        yield "scale", "Scale", "autoscaling", _SUBRESOURCE_VERBS
    if resource.has_status:
        yield "status", resource.kind, "", _SUBRESOURCE_VERBS


def _entry(name: str, singular: str, namespaced: bool, kind: str, verbs: list[str]) -> dict[str, Any]:
    return {"name": name, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": verbs}


def _aggregated(catalog: Catalog, *, core: bool) -> Object:
    items = []
    for group, versions in _groups(catalog).items():
        if (not group) != core:
            continue
        described = [
            {"version": version, "resources": _described(group, version, catalog), "freshness": "Current"}
            for version in versions
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": described})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _described(group: str, version: str, catalog: Catalog) -> list[dict[str, Any]]:
    described = []
    for resource in sorted(catalog, key=lambda resource: resource.plural):
        if (resource.group, resource.version) != (group, version):
            continue
        item: dict[str, Any] = {
            "resource": resource.plural,
            "responseKind": _answered_kind(resource, "", resource.kind),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            item["shortNames"] = list(resource.short_names)
        if resource.categories:
            item["categories"] = list(resource.categories)
        parts = [
            {
                "subresource": name,
                "responseKind": _answered_kind(resource, of, kind),
                "verbs": verbs,
            }
            for name, kind, of, verbs in _subresources(resource)
        ]
        described.append({**item, "subresources": parts} if parts else item)
    for owner, plural, kind in _REVIEWS:
        if owner == group:
            answer = {"group": "", "version": "", "kind": kind}
            item = {"resource": plural, "responseKind": answer, "scope": "Cluster"}
            described.append({**item, "singularResource": kind.lower(), "verbs": ["create"]})
    return described
