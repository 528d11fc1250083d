"""What `responder explain` says of a delivery: whose alerts, by which rules, and the judgement now.

Called by explain.py. Without a cluster or Prometheus at hand it says what it could not look at.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from responder.alerts.model import Alert
from responder.alerts.parse import parse_webhook
from responder.cli.attribution import Attribution, attribute
from responder.cli.checklist import judged, print_judgement
from responder.cli.cluster import connected, find_home
from responder.cli.explain import Sources, settings_of
from responder.cli.judging import looking
from responder.cli.output import Output, instant, say, to_json
from responder.clock import Clock
from responder.errors import ResponderError
from responder.pipeline.look import Delivered, Look, why_not_judged
from responder.rules.decide import Judgement
from responder.rules.load import load_rules
from responder.workloads.key import WorkloadKey

_MAX_ALERTS = 100_000


@dataclass(frozen=True, slots=True)
class Judged:
    """What the alerts of one workload would do; `untold` says why it can't be said."""

    key: WorkloadKey
    delivered: Delivered | None = None
    judgement: Judgement | None = None
    untold: str = ""


@dataclass(slots=True)
class Explained:
    """A delivery, explained; `missing` says what could not be looked at."""

    alerts: list[tuple[Alert, Attribution]]
    judged: list[Judged] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


async def explain(body: bytes, sources: Sources, clock: Clock, output: Output) -> None:
    """Print it. Raises WebhookError for what the webhook would refuse, too."""
    group = parse_webhook(body, max_alerts=_MAX_ALERTS)
    rules = load_rules(sources.rules)
    found = Explained([(alert, attribute(alert.labels, rules)) for alert in group.alerts])
    by_workload: defaultdict[WorkloadKey, list[Alert]] = defaultdict(list)
    for alert, attribution in found.alerts:
        if attribution.workload is not None:
            by_workload[attribution.workload].append(alert)
    if by_workload:
        await _judge(found, by_workload, sources, clock)
    if output is Output.JSON:
        print(to_json(_all(found)))
    else:
        _print(found)


async def _judge(
    found: Explained, by_workload: dict[WorkloadKey, list[Alert]], sources: Sources, clock: Clock
) -> None:
    """Add the judgements, or why there are none: what can be told without a cluster is told all the same."""
    if sources.prometheus_url is None:
        found.missing.append("Prometheus: no --prometheus-url, so nothing is judged")
        return
    try:
        settings = settings_of(sources, await _home(sources, clock))
        async with looking(settings, clock) as look:
            found.judged = [await _one(look, key, alerts) for key, alerts in by_workload.items()]
    except ResponderError as error:
        found.missing.append(f"the cluster: {error}")


async def _home(sources: Sources, clock: Clock) -> str:
    async with connected(sources.kubeconfig, sources.context, clock) as kubernetes:
        return await find_home(kubernetes, sources.home)


async def _one(look: Look, key: WorkloadKey, alerts: list[Alert]) -> Judged:
    try:
        delivered = await look.deliver(key, alerts)
        incident = delivered.incident
        judgement = None if incident is None else await look.judge(incident)
    except ResponderError as error:
        return Judged(key, untold=str(error))
    untold = "" if incident is None or judgement is not None else why_not_judged(incident)
    return Judged(key, delivered, judgement, untold)


def _print(found: Explained) -> None:
    for alert, attribution in found.alerts:
        state = (
            f"fires since {instant(alert.starts_at)}" if alert.firing else f"ended {instant(alert.ends_at)}"
        )
        say(f"alert       {alert.name}, {state}", "bold")
        if attribution.workload is None:
            say(f"workload    none: {attribution.why}")
        else:
            say(f"workload    {attribution.workload}")
            rules = ", ".join(f"{rule.id} ({rule.action.value})" for rule in attribution.rules)
            say(f"rules       {rules}: {attribution.why}")
    if any(attribution.workload is None for _, attribution in found.alerts):
        say("\nAlerts of no workload are told in Slack, as an incident in the responder's own namespace.")
    for judged_one in found.judged:
        say()
        _print_judged(judged_one)
    for missing in found.missing:
        say(f"\nNot looked at: {missing}.", "yellow")


def _print_judged(one: Judged) -> None:
    if one.delivered is None:
        say(f"{one.key}: {one.untold}", "bold red")
        return
    say(f"{one.key}: {_what_happens(one.delivered)}", "bold")
    for alert in one.delivered.held:
        if alert.firing:
            say(f"held        {alert.name}: an earlier incident took this instance already")
    if one.judgement is not None:
        print_judgement(one.judgement)
    elif one.untold:
        say(one.untold)


def _what_happens(delivered: Delivered) -> str:
    if delivered.incident is None:
        return "nothing would open, as no instance is new"
    name = delivered.incident.name
    return f"{name} would open" if delivered.opens else f"they belong to {name}, which is open"


def _all(found: Explained) -> dict[str, Any]:
    return {
        "alerts": [
            {
                "alertname": alert.name,
                "fingerprint": alert.fingerprint,
                "firing": alert.firing,
                "startsAt": alert.starts_at,
                "endsAt": alert.ends_at,
                "workload": _workload(attribution.workload),
                "rules": [{"rule": rule.id, "action": rule.action.value} for rule in attribution.rules],
                "why": attribution.why,
            }
            for alert, attribution in found.alerts
        ],
        "judged": [_judged(one) for one in found.judged],
        "notLookedAt": found.missing,
    }


def _judged(one: Judged) -> dict[str, Any]:
    delivered = one.delivered
    incident = None if delivered is None else delivered.incident
    return {
        "workload": _workload(one.key),
        "incident": None if incident is None else incident.name,
        "opens": delivered is not None and delivered.opens,
        "held": [] if delivered is None else [alert.fingerprint for alert in delivered.held if alert.firing],
        "judgement": None if one.judgement is None else judged(one.judgement),
        "untold": one.untold or None,
    }


def _workload(key: WorkloadKey | None) -> dict[str, str] | None:
    return None if key is None else {"namespace": key.namespace, "kind": key.kind, "name": key.name}
