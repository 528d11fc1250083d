"""What commands that look into a cluster share: their flags, the connection, and what an argument names."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from responder.clock import Clock
from responder.errors import Permanent, Temporary
from responder.workloads.key import KIND_BY_LABEL, WorkloadKey
from responder.workloads.views import View

if TYPE_CHECKING:
    from responder.clients.kubernetes import Kubernetes
    from responder.incidents.model import Incident
    from responder.incidents.record import WorkloadRecord

T = TypeVar("T")

# Where deploy/ puts the responder.
USUAL_HOME = "responder"

KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        envvar=["RESPONDER_KUBECONFIG", "KUBECONFIG"],
        help="The kubeconfig of the cluster; without one the pod's service account is used.",
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option(envvar="RESPONDER_CONTEXT", help="The kubeconfig's context, if not its current one."),
]
HomeOption = Annotated[
    str | None,
    typer.Option(
        "--responder-namespace",
        envvar=["RESPONDER_NAMESPACE", "POD_NAMESPACE"],
        help=f"The responder's own namespace, which stands for everything; {USUAL_HOME} if one leads there.",
    ),
]


class NotFoundHere(Permanent):
    """What an argument names is not in the cluster, or is not clear."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an argument names: everything, a namespace, or a workload in it, of a kind where one was given."""

    namespace: str | None = None
    kind: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.namespace, self.name) if part) or "everything"


def parse_place(text: str | None) -> Place:
    """The place in NAMESPACE, NAMESPACE/WORKLOAD or NAMESPACE/KIND/WORKLOAD; all of it for None."""
    parts = [] if text is None else text.split("/")
    if not all(parts) or len(parts) > 3:
        raise typer.BadParameter(f"{text}: write NAMESPACE, NAMESPACE/WORKLOAD or NAMESPACE/KIND/WORKLOAD")
    if len(parts) < 3:
        return Place(next(iter(parts), None), name=parts[1] if len(parts) == 2 else None)
    kind = KIND_BY_LABEL.get(parts[1].lower())
    if kind is None:
        raise typer.BadParameter(f"{parts[1]}: is no kind of workload; one of {', '.join(KIND_BY_LABEL)}")
    return Place(parts[0], kind, parts[2])


def on_cluster(kubeconfig: Path | None, context: str | None, work: Callable[[Kubernetes], Awaitable[T]]) -> T:
    """Connect, do the work, disconnect. Raises ResponderError."""

    async def run() -> T:
        async with connected(kubeconfig, context) as kubernetes:
            return await work(kubernetes)

    return asyncio.run(run())


@asynccontextmanager
async def connected(
    kubeconfig: Path | None, context: str | None, clock: Clock | None = None
) -> AsyncIterator[Kubernetes]:
    """That cluster, while the context lasts. One that does not answer is named in the error."""
    from responder.clients.kubernetes import Unavailable, connect

    kubernetes = await connect(kubeconfig, context, clock=clock)
    try:
        yield kubernetes
    except Unavailable as error:
        which = "the cluster of this pod" if kubeconfig is None else f"the cluster of {kubeconfig}"
        raise Temporary(
            f"{error}. That is {which}: is it up, and is it the one you mean? --kubeconfig and --context"
            " name another"
        ) from error
    finally:
        await kubernetes.close()


async def find_home(kubernetes: Kubernetes, given: str | None) -> str:
    """The namespace given, or the usual one if a responder leads there: a wrong guess freezes nothing."""
    if given is not None:
        return given
    from responder.clients.kubernetes import NotFound, paths
    from responder.pipeline.elect import LEASE_NAME

    try:
        await kubernetes.get(paths.named(paths.leases(USUAL_HOME), LEASE_NAME))
    except NotFound:
        raise NotFoundHere(
            f"no responder leads in namespace {USUAL_HOME}, so that a freeze of everything is neither found"
            " nor set there: name the namespace that it runs in with --responder-namespace"
        ) from None
    return USUAL_HOME


async def find_records(kubernetes: Kubernetes, place: Place) -> list[WorkloadRecord]:
    """What is remembered of the workloads there. Raises NotFoundHere for a place that does not exist."""
    from responder.clients.kubernetes import Forbidden, paths
    from responder.incidents.record import parse_record
    from responder.incidents.store import IncidentStore

    if place.namespace is not None and place.name is not None:
        # By name, as the responder's own role does not allow to list them.
        store, kinds = IncidentStore(kubernetes), (place.kind,) if place.kind else KIND_BY_LABEL.values()
        keys = [WorkloadKey(place.namespace, kind, place.name) for kind in kinds]
        found = [record for key in keys if (record := await store.find_record(key)) is not None]
    else:
        listed = await kubernetes.list(paths.workloadrecords(place.namespace))
        found = sorted(map(parse_record, listed.items), key=lambda record: record.key)
    if not found:
        # A record may outlive its workload; without one, a typing error looks the same as nothing to tell.
        with suppress(Forbidden):
            await check_place(kubernetes, place)
    return found


async def list_incidents(kubernetes: Kubernetes, namespace: str | None, *, every: bool) -> list[Incident]:
    """Those that are open, or every one; what can't be read is named on stderr. Raises NotFoundHere."""
    from responder.clients.kubernetes import Forbidden, paths
    from responder.incidents.model import OPEN_LABEL, Unreadable, parse_incident

    selector = "" if every else f"{OPEN_LABEL}=true"
    listed = await kubernetes.list(paths.incidents(namespace), label_selector=selector)
    if not listed.items:
        with suppress(Forbidden):
            await check_place(kubernetes, Place(namespace))
    found = []
    for item in listed.items:
        try:
            found.append(parse_incident(item))
        except Unreadable as error:
            print(f"responder: {error}", file=sys.stderr)
    return found


async def check_place(kubernetes: Kubernetes, place: Place) -> None:
    """Return when the namespace and the workload in it exist; raise NotFoundHere when not."""
    if place.namespace is not None:
        await find_namespace(kubernetes, place.namespace)
    if place.name is not None:
        await find_workload(kubernetes, place)


async def find_namespace(kubernetes: Kubernetes, name: str) -> View:
    """The namespace of that name. Raises NotFoundHere when there is none."""
    from responder.clients.kubernetes import NotFound, paths

    try:
        return View(await kubernetes.get(paths.namespace(name)))
    except NotFound:
        raise NotFoundHere(
            f"there is no namespace {name}; `kubectl get namespaces` lists those that there are"
        ) from None


async def find_workload(kubernetes: Kubernetes, place: Place) -> WorkloadKey:
    """The one workload that the place names. Raises NotFoundHere when there is none, or more than one."""
    from responder.clients.kubernetes import NotFound, paths

    assert place.namespace is not None
    assert place.name is not None
    found = []
    for kind in (place.kind,) if place.kind else KIND_BY_LABEL.values():
        try:
            await kubernetes.get(paths.workload(kind, place.namespace, place.name))
        except NotFound:
            continue
        found.append(WorkloadKey(place.namespace, kind, place.name))
    if not found:
        raise NotFoundHere(f"there is no {place.kind or 'workload'} {place}: look at its name and namespace")
    return the_one(found)


def the_one(keys: Sequence[WorkloadKey]) -> WorkloadKey:
    """The one workload that a name may mean, of one at least. Raises NotFoundHere for several."""
    if len(keys) > 1:
        kinds = " or ".join(f"{each.namespace}/{each.kind.lower()}/{each.name}" for each in keys)
        raise NotFoundHere(
            f"there are {len(keys)} workloads {keys[0].namespace}/{keys[0].name}: write {kinds}"
        )
    return keys[0]
