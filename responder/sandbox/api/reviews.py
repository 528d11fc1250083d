"""Questions about oneself: may I do this, what may I do, who am I. Nothing is stored.

Called by the server. Source: Kubernetes pkg/registry/authorization/selfsubject*.
"""

from __future__ import annotations

from typing import Any

from responder.sandbox.api import status
from responder.sandbox.api.access import Attributes, Authorizer
from responder.sandbox.api.bodies import json_object
from responder.sandbox.api.call import Call, Reply
from responder.sandbox.api.managed_fields import record_manager
from responder.sandbox.api.objects import Object, seconds_text
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.structure import Structure

AUTHORIZATION = "authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
_CHOICE = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def answer_review(call: Call, authorizer: Authorizer) -> Reply:
    """Answer a POST of one of the self-reviews; ApiError 404 for any other resource, 405 for another verb."""
    target = call.target
    known = {
        (AUTHORIZATION, "selfsubjectaccessreviews"): _review_access,
        (AUTHORIZATION, "selfsubjectrulesreviews"): _review_rules,
        (AUTHENTICATION, "selfsubjectreviews"): _review_self,
    }
    answer = known.get((target.group, target.plural))
    if answer is None or target.version != "v1":
        raise status.no_such_resource()
    if target.verb != "create":
        raise status.method_not_allowed()
    return answer(call, json_object(call.body), authorizer)


def _review_access(call: Call, body: Object, authorizer: Authorizer) -> Reply:
    spec = body.get("spec") or {}
    resource: Any = spec.get("resourceAttributes")
    path: Any = spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        text = f"Invalid value: null: {_CHOICE}"
        cause = {"reason": "FieldValueInvalid", "message": text, "field": "spec.resourceAttributes"}
        message = f'.{AUTHORIZATION} "" is invalid: spec.resourceAttributes: {text}'
        raise ApiError(422, "Invalid", message, {"group": AUTHORIZATION, "causes": [cause]})
    if resource is not None:
        wanted = Attributes(
            verb=resource.get("verb", ""),
            group=resource.get("group", ""),
            resource=resource.get("resource", ""),
            subresource=resource.get("subresource", ""),
            namespace=resource.get("namespace", ""),
            name=resource.get("name", ""),
        )
    else:
        wanted = Attributes(verb=path.get("verb", ""), path=path.get("path", ""))
    allowed, reason = authorizer.decide(call.user, wanted)
    outcome: dict[str, Any] = {"allowed": allowed}
    if reason:
        outcome["reason"] = reason
    answer = _envelope("SelfSubjectAccessReview", AUTHORIZATION, spec=spec)
    record_manager(answer, None, Structure(), call.manager, f"{AUTHORIZATION}/v1", seconds_text(call.at))
    return Reply(201, {**answer, "status": outcome})


def _review_rules(call: Call, body: Object, authorizer: Authorizer) -> Reply:
    namespace = (body.get("spec") or {}).get("namespace", "")
    rules = authorizer.rules(call.user, namespace)
    outcome = {
        "resourceRules": [dict(rule) for rule in rules if "resources" in rule],
        "nonResourceRules": [dict(rule) for rule in rules if "nonResourceURLs" in rule],
        "incomplete": False,
    }
    return Reply(201, _envelope("SelfSubjectRulesReview", AUTHORIZATION, spec={}, status=outcome))


def _review_self(call: Call, _body: Object, _authorizer: Authorizer) -> Reply:
    who = {"username": call.user.name, "uid": call.user.uid, "groups": list(call.user.groups)}
    who = {name: value for name, value in who.items() if value}
    answer = _envelope("SelfSubjectReview", AUTHENTICATION, status={"userInfo": who})
    answer["metadata"] = {"creationTimestamp": seconds_text(call.at)}
    return Reply(201, answer)


def _envelope(kind: str, group: str, **members: object) -> Object:
    return {"kind": kind, "apiVersion": f"{group}/v1", "metadata": {}, **members}
