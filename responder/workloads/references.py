"""What a pod template needs to exist beside it: ConfigMaps, Secrets, claims, its service account. Pure.

Without one of them a pod is created and never starts. Source: Kubernetes api/core/v1/types.go (PodSpec).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from responder.workloads.templates import Template
from responder.workloads.views import Object

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
CLAIM, ACCOUNT = "PersistentVolumeClaim", "ServiceAccount"


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """An object of the pod's own namespace, and the keys in it that the pod can't start without."""

    kind: str
    name: str
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def find_references(template: Template) -> tuple[Reference, ...]:
    """Everything the template names that isn't optional, each object once with all its keys."""
    spec = template.get("spec") or {}
    keys: dict[tuple[str, str], set[str]] = {}
    for kind, name, needed in _all_of(spec):
        if name:
            keys.setdefault((kind, name), set()).update(needed)
    return tuple(
        sorted(Reference(kind, name, tuple(sorted(needed))) for (kind, name), needed in keys.items())
    )


def _all_of(spec: Object) -> Iterator[tuple[str, str, list[str]]]:
    yield ACCOUNT, str(spec.get("serviceAccountName") or ""), []
    for volume in spec.get("volumes") or []:
        claim = volume.get("persistentVolumeClaim") or {}
        yield CLAIM, str(claim.get("claimName") or ""), []
        yield from _mounted(CONFIG_MAP, volume.get("configMap"), "name")
        yield from _mounted(SECRET, volume.get("secret"), "secretName")
        for source in (volume.get("projected") or {}).get("sources") or []:
            yield from _mounted(CONFIG_MAP, source.get("configMap"), "name")
            yield from _mounted(SECRET, source.get("secret"), "name")
    for container in (*(spec.get("initContainers") or []), *(spec.get("containers") or [])):
        yield from _environment(container)


def _mounted(kind: str, source: Object | None, name: str) -> Iterator[tuple[str, str, list[str]]]:
    if source is not None and not source.get("optional"):
        yield kind, str(source.get(name) or ""), [str(item["key"]) for item in source.get("items") or []]


def _environment(container: Object) -> Iterator[tuple[str, str, list[str]]]:
    for source in container.get("envFrom") or []:
        yield from _mounted(CONFIG_MAP, source.get("configMapRef"), "name")
        yield from _mounted(SECRET, source.get("secretRef"), "name")
    for variable in container.get("env") or []:
        source = variable.get("valueFrom") or {}
        for kind, field in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
            named = source.get(field)
            if named is not None and not named.get("optional"):
                yield kind, str(named.get("name") or ""), [str(named.get("key"))]
