"""ResourceQuotas that count objects: they refuse the one too many, and tell what is used in their status.

Played are `pods` and `count/RESOURCE`, such as count/deployments.apps; sums of cpu or memory and scopes limit
nothing here. The store's admission asks, and the store tells it of every write.
Source: Kubernetes staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from responder.sandbox.api import status
from responder.sandbox.api.objects import Object, name_of, namespace_of
from responder.sandbox.api.resources import Resource

if TYPE_CHECKING:
    from responder.sandbox.api.store import Event, Store

QUOTAS = "resourcequotas"
_MANAGER = "kube-controller-manager"
_ENDED = ("Succeeded", "Failed")


class Quotas:
    """The quotas of all namespaces."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, resource: Resource, new: Object) -> None:
        """Return when one more object of resource fits its namespace's quotas; ApiError 403 otherwise."""
        for quota in self._of(namespace_of(new)):
            for item, limit in _counted(quota).items():
                used = self._used(item, namespace_of(new))
                if _resource_of(item) == resource.key and used + 1 > limit:
                    sums = f"requested: {item}=1, used: {item}={used}, limited: {item}={limit}"
                    why = f"exceeded quota: {name_of(quota)}, {sums}"
                    raise status.forbidden(resource, name_of(new), why)

    def observe(self, event: Event) -> None:
        """Bring up to date what the quotas of the namespace say of what is used."""
        for quota in list(self._of(namespace_of(event.object))):
            used = {item: str(self._used(item, namespace_of(quota))) for item in _counted(quota)}
            hard = {item: str(limit) for item, limit in _counted(quota).items()}
            told = quota.get("status") or {}
            if told.get("hard") != hard or told.get("used") != used:
                wanted = {**quota, "status": {"hard": hard, "used": used}}
                self._store.update(QUOTAS, wanted, manager=_MANAGER, subresource="status")

    def _of(self, namespace: str) -> list[Object]:
        return list(self._store.scan(QUOTAS, namespace)) if namespace else []

    def _used(self, item: str, namespace: str) -> int:
        key = _resource_of(item)
        # A pod that is on its way out still counts, one that ran to its end does not.
        return sum(
            key != "pods" or (each.get("status") or {}).get("phase") not in _ENDED
            for each in self._store.scan(key, namespace)
        )


def _counted(quota: Object) -> dict[str, int]:
    hard = (quota.get("spec") or {}).get("hard") or {}
    return {
        item: int(limit)
        for item, limit in sorted(hard.items())
        if (item == "pods" or item.startswith("count/")) and str(limit).isdigit()
    }


def _resource_of(item: str) -> str:
    return item.removeprefix("count/")
