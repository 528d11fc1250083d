"""The admission webhooks that a scenario may put in force: they deny, or add to pod templates.

Called by play.
"""

from __future__ import annotations

from typing import Any

from responder.sandbox.api.admission import Mutating, Validating
from responder.sandbox.api.objects import Object
from responder.sandbox.controllers.fields import annotations_of
from responder.sandbox.scenarios.actions import Webhook

_SIDECAR = "sidecar"


def admission_webhook(webhook: Webhook) -> Mutating | Validating:
    """The webhook as the cluster's admission takes it."""
    asked: dict[str, Any] = {
        "name": webhook.name,
        "resource": webhook.resource,
        "namespace": webhook.namespace or "",
        "operations": webhook.operations,
        "count": webhook.count,
    }
    if webhook.deny is not None:
        why = webhook.deny
        return Validating(**asked, refuse=lambda _new, _old: why)
    return Mutating(**asked, change=lambda obj: _injected(obj, webhook))


def _injected(obj: Object, webhook: Webhook) -> Object:
    """The object with what the webhook adds to its pod template, or to itself if it is a pod."""
    pod = obj if obj["kind"] == "Pod" else (obj.get("spec") or {}).get("template")
    if pod is None:
        return obj
    if webhook.annotations:
        metadata = pod.setdefault("metadata", {})
        metadata["annotations"] = annotations_of(pod) | webhook.annotations
    names = [each["name"] for each in pod["spec"]["containers"]]
    if webhook.sidecar is not None and _SIDECAR not in names:
        pod["spec"]["containers"].append({"name": _SIDECAR, "image": webhook.sidecar})
    return obj
