"""`responder resume-owner`: what was paused around an undo goes on, because a person says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
from responder.cli.output import Output, OutputOption, to_json

if TYPE_CHECKING:
    from responder.clients.kubernetes import Kubernetes, Object
    from responder.workloads.key import WorkloadKey
    from responder.workloads.ledger import PausedOwner
    from responder.workloads.owners import Owner


def resume_owner(
    workload: Annotated[
        str, typer.Argument(metavar="NAMESPACE/[KIND/]WORKLOAD", help="The workload that was rolled back.")
    ],
    output: OutputOption = Output.TEXT,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Let the Argo CD or Flux object go on that was paused around an undo of the workload.

    It gets back exactly what made it run by itself before, and then brings what Git holds.

    Put Git right first, or the bad revision returns. What somebody changed meanwhile stays. May be run again.
    """
    place = parse_place(workload)
    if place.name is None:
        raise typer.BadParameter(f"{workload}: which workload? write NAMESPACE/WORKLOAD")
    said = on_cluster(kubeconfig, context, lambda api: _resume(api, place))
    if output is Output.JSON:
        print(to_json([{"owner": str(owner), "message": message} for owner, message in said.items()]))
        return
    for message in said.values():
        print(message)


async def _resume(kubernetes: Kubernetes, place: Place) -> dict[Owner, str]:
    """Resume every owner that is recorded as paused; what became of each, in words."""
    found = [record for record in await find_records(kubernetes, place) if record.spec.paused]
    if not found:
        raise NotFoundHere(
            f"nothing is paused for {place}: no undo of it has paused an Argo CD or Flux object that has not"
            " gone on since"
        )
    key = the_one([record.key for record in found])
    said = {}
    for paused in found[0].spec.paused:
        # Of two undos that paused the same one, what became of it in the end.
        said[paused.owner] = await _resume_one(kubernetes, key, paused)
    return said


async def _resume_one(kubernetes: Kubernetes, key: WorkloadKey, paused: PausedOwner) -> str:
    from responder.actions.pause_plan import marks_on, runs_by_itself
    from responder.incidents.store import IncidentStore
    from responder.pipeline.owned import resume

    owner = paused.owner
    before = await _find(kubernetes, paused)
    await resume(kubernetes, IncidentStore(kubernetes), key, paused)
    after = await _find(kubernetes, paused)
    if before is None or after is None:
        return f"{owner} is gone; its pause is forgotten."
    if runs_by_itself(owner, before):
        return f"{owner} went on already; its pause is forgotten, and nothing else was changed."
    if marks := marks_on(after):
        return (
            f"Stays paused: {owner}, for another undo ({', '.join(marks)}). Resume that one's workload, too."
        )
    if not runs_by_itself(owner, after):
        return f"{owner} stands still by somebody else's wish; its pause is forgotten."
    return f"Goes on: {owner}, as before it was paused."


async def _find(kubernetes: Kubernetes, paused: PausedOwner) -> Object | None:
    from responder.actions.pause import read_owner
    from responder.clients.kubernetes import NotFound

    try:
        return await read_owner(kubernetes, paused.owner)
    except NotFound:
        return None
