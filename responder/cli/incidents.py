"""`responder incidents`: which incidents are open, or all that are kept."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from responder.cli.cluster import ContextOption, KubeconfigOption, Place, check_place, on_cluster
from responder.cli.output import Output, OutputOption, age, show_table, to_json
from responder.clock import SystemClock

if TYPE_CHECKING:
    from responder.clients.kubernetes import Kubernetes
    from responder.incidents.model import Incident

_TITLES = ("NAMESPACE", "NAME", "PHASE", "OUTCOME", "REASON", "WORKLOAD", "RULE", "AGE")


def incidents(
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Only those in it.")] = None,
    every: Annotated[bool, typer.Option("--all", metavar="", help="Closed ones as well.")] = False,
    output: OutputOption = Output.TEXT,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """List the open incidents, of all namespaces, the latest first."""
    found = on_cluster(kubeconfig, context, lambda api: _list(api, namespace, every=every))
    if output is Output.JSON:
        print(to_json([_row(each) for each in found]))
        return
    if not found:
        print("No incidents." if every else "No open incidents.")
        return
    now = SystemClock().now()
    rows = [_cells(each, age(each.spec.received_at, now)) for each in found]
    # An incident's name has its workload's in it.
    show_table(_TITLES, rows, spare=("RULE", "WORKLOAD", "REASON"), whole=("NAMESPACE", "NAME"))


async def _list(kubernetes: Kubernetes, namespace: str | None, *, every: bool) -> list[Incident]:
    """Those that can be read; the others are named on stderr."""
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
    return sorted(found, key=lambda each: each.spec.received_at, reverse=True)


def _cells(incident: Incident, aged: str) -> list[str]:
    status = incident.status
    return [
        incident.key.namespace,
        incident.name,
        status.phase.value,
        status.outcome or "",
        status.reason,
        f"{incident.key.kind.lower()}/{incident.key.name}",
        status.rule or "",
        aged,
    ]


def _row(incident: Incident) -> dict[str, Any]:
    status = incident.status
    return {
        "namespace": incident.key.namespace,
        "name": incident.name,
        "workload": {"kind": incident.key.kind, "name": incident.key.name},
        "phase": status.phase,
        "outcome": status.outcome,
        "reason": status.reason,
        "message": status.message,
        "rule": status.rule,
        "from": None if status.bad is None else status.bad.replica_set,
        "to": None if status.target is None else status.target.replica_set,
        "receivedAt": incident.spec.received_at,
        "closedAt": status.times.closed_at,
    }
