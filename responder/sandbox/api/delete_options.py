"""What a DELETE or an eviction asks for: read from the body where there is one, else from the query.

Pure. Called by the verbs and subresources, and by the request log for what was a dry run.
Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/delete.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from responder.sandbox.api import status
from responder.sandbox.api.bodies import json_object
from responder.sandbox.api.call import Call
from responder.sandbox.api.status import bad_request, invalid_value, unsupported_value
from responder.sandbox.api.target import whole_number

_PROPAGATIONS = ("Foreground", "Background", "Orphan")
_TYPES: Mapping[str, type] = {
    "propagationPolicy": str,
    "gracePeriodSeconds": int,
    "orphanDependents": bool,
    "dryRun": list,
    "preconditions": dict,
}
_ALL = ["All"]


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """propagation and grace_seconds are None where the server is to choose; uid and version are locks."""

    propagation: str | None = None
    grace_seconds: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


def read_delete_options(call: Call) -> DeleteOptions:
    """Return what a DELETE asks for; ApiError 400 or 422 where that makes no sense.

    The query counts only where there is no body.
    """
    if not call.body.strip():
        return delete_options_of(_in_query(call.query))
    body = json_object(call.body)
    kind = body.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        raise bad_request(f'no kind "{kind}" is registered for version "{body.get("apiVersion") or ""}"')
    return delete_options_of(body)


def read_eviction_options(call: Call) -> DeleteOptions:
    """Return what an eviction asks for: its deleteOptions, and a dry run in the query as well."""
    given = json_object(call.body).get("deleteOptions") or {}
    if not isinstance(given, dict):
        raise bad_request("json: cannot unmarshal into Go struct field Eviction.deleteOptions")
    asked = _ALL if call.dry_run else []
    wanted = given.get("dryRun") or asked
    if asked and wanted != asked:
        why = f"Non-matching dry-run options in request and content: {asked} and {wanted}"
        raise bad_request(why)
    return delete_options_of({**given, "dryRun": wanted})


def delete_options_of(options: Mapping[str, Any]) -> DeleteOptions:
    """Return metav1.DeleteOptions as they are understood; ApiError 400 or 422 as for a whole request."""
    given = {name: options[name] for name in _TYPES if options.get(name) is not None}
    for name, value in given.items():
        if not isinstance(value, _TYPES[name]) or (_TYPES[name] is int and isinstance(value, bool)):
            raise bad_request(f"json: cannot unmarshal into Go struct field DeleteOptions.{name}")
    causes = []
    policy, dry_run = given.get("propagationPolicy"), given.get("dryRun") or []
    if "orphanDependents" in given and policy:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(invalid_value("propagationPolicy", policy, detail))
    elif policy and policy not in _PROPAGATIONS:
        causes.append(unsupported_value("propagationPolicy", policy, (*_PROPAGATIONS, "nil")))
    if dry_run not in ([], _ALL):
        causes.append(unsupported_value("dryRun", dry_run, ("All",)))
    if causes:
        raise status.invalid_options("DeleteOptions", causes)
    if "orphanDependents" in given:
        policy = "Orphan" if given["orphanDependents"] else "Background"
    locks = given.get("preconditions") or {}
    return DeleteOptions(
        propagation=policy or None,
        grace_seconds=given.get("gracePeriodSeconds"),
        uid=locks.get("uid"),
        resource_version=locks.get("resourceVersion"),
        dry_run=bool(dry_run),
    )


def is_dry_run(method: str, path: str, query: Mapping[str, str], body: Any) -> bool:
    """Tell whether a request is to change nothing, by its query or, where that counts, by its body."""
    options = body
    if method == "POST" and path.endswith("/eviction"):
        options = body.get("deleteOptions") if isinstance(body, dict) else None
    elif method != "DELETE":
        options = None
    elif body:
        query = {}
    in_body = isinstance(options, dict) and options.get("dryRun") == _ALL
    return in_body or query.get("dryRun") == "All"


def _in_query(query: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if query.get("propagationPolicy"):
        options["propagationPolicy"] = query["propagationPolicy"]
    if query.get("dryRun"):
        options["dryRun"] = [query["dryRun"]]
    if query.get("orphanDependents"):
        options["orphanDependents"] = query["orphanDependents"] in ("1", "true")
    if query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = whole_number(query, "gracePeriodSeconds")
    return options
