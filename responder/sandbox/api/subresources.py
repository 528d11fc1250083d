"""Subresources with a shape of their own: /scale, Pod /binding, /eviction and /log, ServiceAccount /token.

Synchronous, like the verbs. Called by the server.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from responder.sandbox.api import status
from responder.sandbox.api.access import Tokens, service_account
from responder.sandbox.api.apply import applier_of, apply_to, read_applied
from responder.sandbox.api.bodies import json_object, parse_body, parse_patch
from responder.sandbox.api.call import Call, Reply
from responder.sandbox.api.delete_options import read_eviction_options
from responder.sandbox.api.managed_fields import Entries, entries_of, record_manager
from responder.sandbox.api.objects import Object, name_of, seconds_text
from responder.sandbox.api.pod_rules import NOT_NEGATIVE
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.selectors import label_selector_of, selector_text
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.store import Store
from responder.sandbox.api.structure import Structure
from responder.sandbox.api.verbs import APPLY_PATCH, Verbs, apply_patch, check_patch_type, check_place

_SCALE = Resource("autoscaling", "v1", "scale", "Scale", "scale")
_TOKEN_SECONDS = 3600
_TOKEN_VERSION = "authentication.k8s.io/v1"


class Subresources:
    """The subresources on one store."""

    def __init__(self, store: Store, verbs: Verbs, tokens: Tokens) -> None:
        self._store = store
        self._verbs = verbs
        self._tokens = tokens

    def answer(self, call: Call, resource: Resource) -> Reply:
        """Answer a call on a subresource other than /status; ApiError 404 for one that there is not."""
        target = call.target
        match (resource.key, target.subresource, target.verb):
            case (_, "scale", "get" | "update" | "patch") if resource.has_scale:
                return self._scale(call, resource)
            case ("pods", "binding", "create"):
                return self._bind(call, resource)
            case ("pods", "eviction", "create"):
                return self._evict(call, resource)
            case ("pods", "log", "get"):
                self._verbs.existing(call, resource)
                return Reply(200, f"The sandbox only plays {target.name}: it has no log.\n")
            case ("pods", "exec" | "attach" | "portforward", _):
                raise status.bad_request(
                    f"the sandbox only plays {target.name}: there is nothing to connect to"
                )
            case ("serviceaccounts", "token", "create"):
                return self._issue_token(call, resource)
            case (_, "scale" | "status", _) if resource.custom:
                raise status.not_found(resource, target.name)
            case (_, "scale", _) if resource.has_scale:
                raise status.method_not_allowed()
            case _:
                raise status.no_such_resource()

    def _scale(self, call: Call, resource: Resource) -> Reply:
        found = self._verbs.existing(call, resource)
        if call.target.verb == "get":
            return Reply(200, _scale_of(found))
        call.check_options()
        wanted = _asked_scale(call, resource, found)
        wanted["metadata"] = wanted.get("metadata") or {}
        check_place(call, wanted)
        asked = {name: value for name, value in (wanted.get("spec") or {}).items() if name == "replicas"}
        replicas = asked.get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            cause = status.invalid_value("spec.replicas", replicas, NOT_NEGATIVE)
            raise status.invalid(_SCALE, call.target.name, [cause])
        version = wanted["metadata"].get("resourceVersion")
        if version and version != found["metadata"]["resourceVersion"]:
            raise status.conflict(resource, call.target.name)
        managed_fields: Entries | None = None
        if _applies(call):
            owned = {"spec": asked}
            applier = applier_of(call, resource, self._store.clock.now())
            found, managed_fields = apply_to(Structure(), found, owned, owned, applier)
        else:
            found["spec"]["replicas"] = replicas
        stored = self._store.update(
            resource.key,
            found,
            manager=call.manager,
            subresource="scale",
            managed_fields=managed_fields,
            dry_run=call.dry_run,
        )
        return Reply(200, _scale_of(stored))

    def _bind(self, call: Call, resource: Resource) -> Reply:
        pod = self._verbs.existing(call, resource)
        if pod["spec"].get("nodeName"):
            why = f'pod {name_of(pod)} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise status.conflict(resource, name_of(pod), why)
        body = json_object(call.body)
        pod["spec"]["nodeName"] = str((body.get("target") or {}).get("name") or "")
        self._store.update(
            "pods",
            pod,
            manager=call.manager,
            subresource="binding",
            # A binding owns no field.
            managed_fields=entries_of(pod),
            dry_run=call.dry_run,
        )
        return Reply(201, _success(201))

    def _evict(self, call: Call, resource: Resource) -> Reply:
        pod = self._verbs.existing(call, resource)
        for budget in self._store.scan("poddisruptionbudgets.policy", call.target.namespace):
            chosen = label_selector_of(budget["spec"].get("selector")).matches(pod)
            if chosen and not budget["status"].get("disruptionsAllowed"):
                message = "Cannot evict pod as it would violate the pod's disruption budget."
                raise ApiError(429, "TooManyRequests", message, {}, retry_after_seconds=10)
        self._verbs.delete_one(resource, pod, read_eviction_options(call))
        return Reply(201, _success(201))

    def _issue_token(self, call: Call, resource: Resource) -> Reply:
        account = self._verbs.existing(call, resource)
        body = json_object(call.body)
        seconds = int((body.get("spec") or {}).get("expirationSeconds") or _TOKEN_SECONDS)
        token = str(uuid.UUID(int=self._store.random.getrandbits(128), version=4))
        self._tokens.users[token] = service_account(call.target.namespace, call.target.name)
        now = self._store.clock.now()
        meta = account["metadata"]
        requested = {"metadata": {}, "spec": body.get("spec") or {}}
        record_manager(requested, None, Structure(), call.manager, _TOKEN_VERSION, seconds_text(now), "token")
        answer: Object = {
            "kind": "TokenRequest",
            "apiVersion": _TOKEN_VERSION,
            "metadata": {
                **requested["metadata"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
                "creationTimestamp": seconds_text(now),
            },
            "spec": {
                "audiences": ["https://kubernetes.default.svc"],
                "expirationSeconds": seconds,
                "boundObjectRef": None,
            },
            "status": {"token": token, "expirationTimestamp": seconds_text(now + timedelta(seconds=seconds))},
        }
        return Reply(201, answer)


def _asked_scale(call: Call, resource: Resource, found: Object) -> Object:
    if call.target.verb == "update":
        return parse_body(call, _SCALE)[0]
    check_patch_type(call, resource)
    if _applies(call):
        return read_applied(call, _SCALE, parse_patch(call))
    return apply_patch(call, _scale_of(found))


def _applies(call: Call) -> bool:
    return call.target.verb == "patch" and call.content_type == APPLY_PATCH


def _scale_of(obj: Object) -> Object:
    meta, spec = obj["metadata"], obj.get("spec") or {}
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = spec.get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in shown if name in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": (obj.get("status") or {}).get("replicas", 0),
            "selector": selector_text(spec.get("selector")),
        },
    }


def _success(code: int) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
