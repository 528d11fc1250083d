"""`responder incidents`: which incidents are open, or all that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from responder.cli.cluster import ContextOption, KubeconfigOption, list_incidents, on_cluster
from responder.cli.output import Output, OutputOption, age, show_table, to_json
from responder.clock import SystemClock

if TYPE_CHECKING:
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
    found = on_cluster(kubeconfig, context, lambda api: list_incidents(api, namespace, every=every))
    found.sort(key=lambda each: each.spec.received_at, reverse=True)
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
