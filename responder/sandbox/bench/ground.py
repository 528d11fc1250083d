"""What a bench stands on: an API server with our resource definitions, a Prometheus, kubectl, a folder.

The server is the sandbox in a process of its own, or the cluster of RESPONDER_BENCH_KUBECONFIG, which is left
as it was found.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from responder.clock import Clock
from responder.sandbox.api.objects import Object
from responder.sandbox.bench.api import Api, BenchError, open_api
from responder.sandbox.bench.kubectl import Kubectl, kubectl_for
from responder.sandbox.bench.prometheus import FixedPrometheus, fixed_prometheus
from responder.sandbox.bench.server import sandbox_process
from responder.sandbox.bench.workloads import until

KUBECONFIG_VARIABLE = "RESPONDER_BENCH_KUBECONFIG"

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NAMESPACES = "/api/v1/namespaces"
_CRDS = Path(__file__).parents[3] / "deploy" / "base" / "crds"


@dataclass(slots=True)
class Ground:
    """The means of every bench; `prefix` begins the name of each namespace that one makes."""

    api: Api
    kubeconfig: Path
    kubectl: Kubectl | None
    prometheus: FixedPrometheus
    folder: Path
    clock: Clock
    prefix: str


def external_kubeconfig() -> Path | None:
    """The kubeconfig of the cluster to bench on, None for the sandbox. Raises BenchError."""
    named = os.environ.get(KUBECONFIG_VARIABLE)
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        raise BenchError(f"bench: {KUBECONFIG_VARIABLE} names {path}, which is no file")
    return path


@asynccontextmanager
async def hold_ground(folder: Path, clock: Clock) -> AsyncIterator[Ground]:
    """Make everything ready, and take away afterwards what was put into a cluster that is not ours.

    `folder`, an absolute path, takes logs and configuration.
    """
    async with AsyncExitStack() as stack:
        external = external_kubeconfig()
        kubeconfig = external
        if kubeconfig is None:
            kubeconfig = await stack.enter_async_context(sandbox_process(folder, clock))
        api = await stack.enter_async_context(open_api(kubeconfig))
        prometheus = await stack.enter_async_context(fixed_prometheus())
        prefix = f"responder-bench-{clock.now():%H%M%S}"
        defined = await define(api, clock)
        kubectl = kubectl_for(kubeconfig, folder)
        try:
            yield Ground(api, kubeconfig, kubectl, prometheus, folder, clock, prefix)
        finally:
            if external is not None:
                await _clean(api, prefix, defined)


async def define(api: Api, clock: Clock) -> list[str]:
    """Apply our resource definitions where they are missing; the paths of those."""
    applied = []
    for file in sorted(_CRDS.glob("*.yaml")):
        definition: Object = yaml.safe_load(file.read_text(encoding="utf-8"))
        path = f"{_DEFINITIONS}/{definition['metadata']['name']}"
        if not await api.exists(path):
            await api.request("POST", _DEFINITIONS, definition)
            applied.append(path)
    if not list(_CRDS.glob("*.yaml")):
        raise BenchError(f"bench: {_CRDS} has no resource definitions: this needs a checkout of the project")

    async def established() -> bool:
        found = await api.items(_DEFINITIONS)
        names = {path.rpartition("/")[2] for path in applied}
        return names <= {each["metadata"]["name"] for each in found if _is_established(each)}

    await until(established, "the resource definitions", clock)
    return applied


def _is_established(definition: Object) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


async def _clean(api: Api, prefix: str, defined: list[str]) -> None:
    for namespace in await api.items(_NAMESPACES):
        name = str(namespace["metadata"]["name"])
        if name.startswith(prefix):
            await api.request("DELETE", f"{_NAMESPACES}/{name}")
    for path in defined:
        await api.request("DELETE", path)
