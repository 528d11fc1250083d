"""`responder known-bad`: the revisions that were rolled back, and taking one off that list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from responder.cli.cluster import (
    ContextOption,
    KubeconfigOption,
    NotFoundHere,
    Place,
    find_records,
    on_cluster,
    parse_place,
    the_one,
)
from responder.cli.output import Output, OutputOption, instant, show_table, to_json

if TYPE_CHECKING:
    from responder.clients.kubernetes import Kubernetes
    from responder.incidents.record import WorkloadRecord, WorkloadRecordSpec
    from responder.workloads.ledger import KnownBad

_TITLES = ("WORKLOAD", "HASH", "REVISION", "IMAGES", "ROLLED BACK", "INCIDENT")
_WHOLE = ("WORKLOAD", "HASH", "ROLLED BACK")


def known_bad(
    workload: Annotated[
        str | None,
        typer.Argument(
            metavar="NAMESPACE[/[KIND/]WORKLOAD]", help="Only of this; all without it.", show_default=False
        ),
    ] = None,
    forget: Annotated[
        str | None, typer.Option(metavar="HASH", help="Take the revision of that hash off the list.")
    ] = None,
    output: OutputOption = Output.TEXT,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """List the revisions that were rolled back and are never gone back to.

    One that is forgotten counts as any other again: it may be a target, and nobody is told when it serves.
    """
    place = parse_place(workload)
    if forget is not None:
        if place.name is None:
            raise typer.BadParameter("--forget takes the workload as well: NAMESPACE/WORKLOAD")
        print(on_cluster(kubeconfig, context, lambda api: _forget(api, place, forget)))
        return
    records = on_cluster(kubeconfig, context, lambda api: find_records(api, place))
    found = [(record, bad) for record in records for bad in record.spec.known_bad]
    if output is Output.JSON:
        print(to_json([_row(*each) for each in found]))
    elif not found:
        print("No known-bad revisions.")
    else:
        rows = [_cells(*each) for each in _latest(found)]
        show_table(_TITLES, rows, spare=("IMAGES", "INCIDENT", "REVISION"), whole=_WHOLE)


async def _forget(kubernetes: Kubernetes, place: Place, wanted: str) -> str:
    """Write the record without it, on exactly the state that has it; what was done, in words."""
    from responder.incidents.store import IncidentStore

    records = [record for record in await find_records(kubernetes, place) if record.spec.known_bad]
    having = [record for record in records if any(_named(bad, wanted) for bad in record.spec.known_bad)]
    if not having:
        known = ", ".join(bad.revision.hash for record in records for bad in record.spec.known_bad)
        raise NotFoundHere(f"{wanted} is no known-bad revision of {place}; known are: {known or 'none'}")
    key = the_one([record.key for record in having])

    def without(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
        kept = tuple(bad for bad in spec.known_bad if not _named(bad, wanted))
        return spec.model_copy(update={"known_bad": kept})

    await IncidentStore(kubernetes).update_record(key, without)
    return f"Forgotten: {wanted} of {key} may be gone back to again."


def _latest(found: list[tuple[WorkloadRecord, KnownBad]]) -> list[tuple[WorkloadRecord, KnownBad]]:
    """Each workload's hash once, as it was rolled back last: one that came back has a newer number."""
    oldest_first = sorted(found, key=lambda each: each[1].at)
    latest = {(record.key, bad.revision.hash): bad for record, bad in oldest_first}
    return [(record, bad) for record, bad in found if latest[record.key, bad.revision.hash] is bad]


def _named(bad: KnownBad, wanted: str) -> bool:
    return wanted in (bad.revision.hash, bad.revision.replica_set)


def _cells(record: WorkloadRecord, bad: KnownBad) -> list[str]:
    revision = bad.revision
    key = record.key
    return [
        f"{key.namespace}/{key.kind.lower()}/{key.name}",
        revision.hash,
        "" if revision.revision is None else str(revision.revision),
        ", ".join(revision.images),
        instant(bad.at),
        bad.incident,
    ]


def _row(record: WorkloadRecord, bad: KnownBad) -> dict[str, Any]:
    revision, key = bad.revision, record.key
    return {
        "workload": {"namespace": key.namespace, "kind": key.kind, "name": key.name},
        "hash": revision.hash,
        "replicaSet": revision.replica_set,
        "revision": revision.revision,
        "images": list(revision.images),
        "changeCause": revision.change_cause,
        "rolledBackAt": bad.at,
        "incident": bad.incident,
    }
