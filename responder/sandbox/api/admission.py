"""Admission: what changes objects, and what refuses them, on their way into the store.

Webhooks are played by callables that a test or scenario adds; quotas are objects of the cluster (quotas.py).
The store asks here at every create and update, dry runs among them, whoever writes.
Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from responder.sandbox.api.objects import Object, copied, name_of, namespace_of
from responder.sandbox.api.quotas import Quotas
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import ApiError

Operation = Literal["CREATE", "UPDATE"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Webhook:
    """On which writes a webhook is asked.

    resource is as kubectl writes it, with the subresource if it is about one: deployments.apps,
    deployments.apps/scale. namespace "" means all. It takes part in count writes that it changes or
    denies (None: in all), dry runs among them.
    """

    name: str
    resource: str
    namespace: str = ""
    operations: Sequence[Operation] = ("CREATE", "UPDATE")
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mutating(_Webhook):
    """Puts what change makes of an object in its place; change gets a copy, with defaults filled in."""

    change: Callable[[Object], Object]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validating(_Webhook):
    """Denies what refuse has a reason against, given the object and what stood there; "" lets it pass."""

    refuse: Callable[[Object, Object | None], str]


@dataclass(slots=True)
class Admission:
    """The webhooks in force, in the order in which they were added, and the cluster's quotas.

    struck remembers in words whom the webhooks changed or denied.
    """

    quotas: Quotas
    struck: deque[str] = field(default_factory=lambda: deque(maxlen=1_000))
    _webhooks: dict[Mutating | Validating, int | None] = field(default_factory=dict)

    def add(self, webhook: Mutating | Validating) -> Callable[[], None]:
        """Ask the webhook from now on; returns what ends that, and may be called twice."""
        self._webhooks[webhook] = webhook.count

        def remove() -> None:
            self._webhooks.pop(webhook, None)

        return remove

    def changed(self, resource: Resource, new: Object, old: Object | None, subresource: str = "") -> Object:
        """Return what the mutating webhooks make of new: new itself when they change nothing."""
        for webhook in self._asked(resource, new, old, subresource):
            if isinstance(webhook, Mutating):
                after = webhook.change(copied(new))
                if after != new:
                    self._strike(webhook, "changed", new)
                    new = after
        return new

    def check(self, resource: Resource, new: Object, old: Object | None, subresource: str = "") -> None:
        """Return when validating webhooks and quotas let new in; ApiError 403 otherwise."""
        for webhook in self._asked(resource, new, old, subresource):
            if isinstance(webhook, Validating):
                why = webhook.refuse(copied(new), None if old is None else copied(old))
                if why:
                    self._strike(webhook, "denied", new)
                    message = f'admission webhook "{webhook.name}" denied the request: {why}'
                    raise ApiError(403, "Forbidden", message)
        if old is None:
            self.quotas.check(resource, new)

    def _asked(
        self, resource: Resource, new: Object, old: Object | None, subresource: str
    ) -> Sequence[Mutating | Validating]:
        if not self._webhooks:
            return ()
        what = f"{resource.key}/{subresource}" if subresource else resource.key
        operation: Operation = "CREATE" if old is None else "UPDATE"
        return [
            webhook
            for webhook in self._webhooks
            if webhook.resource == what
            and webhook.namespace in ("", namespace_of(new))
            and operation in webhook.operations
        ]

    def _strike(self, webhook: Mutating | Validating, verb: str, obj: Object) -> None:
        self.struck.append(f"{webhook.name} {verb} {webhook.resource} {namespace_of(obj)}/{name_of(obj)}")
        left = self._webhooks.get(webhook)
        if left is not None and left <= 1:
            del self._webhooks[webhook]
        elif left is not None:
            self._webhooks[webhook] = left - 1
