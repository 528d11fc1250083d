"""What `responder explain` says of an incident: what was recorded, and what holds now."""

from __future__ import annotations

from typing import Any

from responder.cli.checklist import (
    checklist,
    judged,
    print_checklist,
    print_judgement,
    print_revisions,
    revision,
)
from responder.cli.cluster import connected, find_home
from responder.cli.explain import CanNotExplain, Sources, settings_of
from responder.cli.judging import looking
from responder.cli.output import Output, instant, say, to_json
from responder.clients.kubernetes import NotFound
from responder.clock import Clock
from responder.incidents.model import Incident
from responder.incidents.store import IncidentStore
from responder.pipeline.look import why_not_judged
from responder.rules.decide import Judgement


async def explain(
    namespace: str, name: str, sources: Sources, clock: Clock, output: Output, *, judge: bool
) -> None:
    """Print what was recorded of the incident and, to `judge`, what would be decided now."""
    async with connected(sources.kubeconfig, sources.context, clock) as kubernetes:
        try:
            incident = await IncidentStore(kubernetes).get(namespace, name)
        except NotFound as error:
            raise CanNotExplain(
                f"there is no incident {namespace}/{name}: see `responder incidents --all`"
            ) from error
        home = await find_home(kubernetes, sources.home) if judge else ""
    judgement = None
    if judge:
        async with looking(settings_of(sources, home), clock) as look:
            judgement = await look.judge(incident)
    if output is Output.JSON:
        print(to_json(_all(incident, judgement, judge=judge)))
        return
    _print(incident)
    if judgement is not None:
        say(f"\nJudged anew at {instant(clock.now())}; nothing was touched.\n", "bold")
        print_judgement(judgement)
    elif judge:
        say(f"\nNot judged anew. {why_not_judged(incident)}", "bold")


def _print(incident: Incident) -> None:
    status = incident.status
    say(f"incident    {incident.key.namespace}/{incident.name}, {_state(incident)}", "bold")
    say(f"workload    {incident.key}")
    say(f"because     {status.reason}: {status.message}")
    say(f"rule        {status.rule or 'none'}{f', action {status.action}' if status.action else ''}")
    print_revisions(status.bad, status.target)
    for alert in incident.spec.alerts.values():
        name, since = alert.labels.get("alertname", "without a name"), instant(alert.starts_at)
        ended = instant(alert.ends_at or alert.vanished_at)
        when = f"fires since {since}" if alert.firing else f"fired from {since} to {ended}"
        say(f"alert       {name}, {when}")
    if status.ask is not None and status.outcome is None:
        say(f"asked       until {instant(status.ask.expires_at)}; question {status.ask.digest}")
    say()
    if status.guards:
        say("When the rollback was decided:", "bold")
        print_checklist(status.guards)
        say("\nIts proof:", "bold")
    if status.verdicts:
        print_checklist(status.verdicts)
    else:
        say("It was not judged yet: no checks are recorded.")


def _state(incident: Incident) -> str:
    outcome = incident.status.outcome
    return incident.phase.value if outcome is None else f"{incident.phase.value}, {outcome.value}"


def _all(incident: Incident, judgement: Judgement | None, *, judge: bool) -> dict[str, Any]:
    status = incident.status
    found: dict[str, Any] = {
        "namespace": incident.key.namespace,
        "incident": incident.name,
        "workload": {"kind": incident.key.kind, "name": incident.key.name},
        "recorded": {
            "phase": status.phase.value,
            "outcome": status.outcome,
            "reason": status.reason,
            "message": status.message,
            "rule": status.rule,
            "action": status.action,
            "from": revision(status.bad),
            "to": revision(status.target),
            "onsetAt": status.times.onset_at,
            "checklist": checklist(status.verdicts),
            "guards": checklist(status.guards),
        },
    }
    if judge:
        found["now"] = None if judgement is None else judged(judgement)
        found["untold"] = why_not_judged(incident) if judgement is None else None
    return found
