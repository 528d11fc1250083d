"""What a person sees who started the sandbox: where everything is, and what to copy into a shell.

Words alone: it starts and writes nothing. Called by the command.
"""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from responder.rules.quantities import format_duration
from responder.sandbox.scenarios.model import Scenario
from responder.sandbox.scenarios.play import describe
from responder.sandbox.scenarios.stage import Addresses
from responder.sandbox.world import HOME, SIGNING_SECRET, WEBHOOK_TOKEN
from responder.settings import PREFIX


def address_table(addresses: Addresses) -> Table:
    """Who listens where."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, where in (
        ("Kubernetes API", addresses.api),
        ("Prometheus", addresses.prometheus),
        ("Alertmanager", addresses.alertmanager),
        ("Slack and PagerDuty", f"{addresses.inboxes}/"),
        ("alerts are sent to", f"{addresses.responder}/webhooks/alertmanager"),
    ):
        table.add_row(name, where)
    return table


def schedule(scenario: Scenario) -> Table:
    """What will happen when, counted from the moment that everything is up."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for event in sorted(scenario.events, key=lambda each: each.at):
        table.add_row(format_duration(event.at), describe(event.action))
    return table


def exports(addresses: Addresses, rules: Path | None) -> str:
    """Shell lines: for kubectl and the commands that people use, and settings for a responder.

    The secrets among them are the sandbox's own and open nothing outside of this machine.
    """
    settings = {
        "namespace": HOME,
        "listen": addresses.responder.partition("://")[2],
        "prometheus_url": addresses.prometheus,
        "alertmanager_urls": addresses.alertmanager,
        "webhook_token": WEBHOOK_TOKEN,
        "slack_api_url": f"{addresses.inboxes}/api/",
        "slack_channel": "payments",
        "slack_bot_token": addresses.slack_token,
        "slack_signing_secret": SIGNING_SECRET,
        "pagerduty_url": addresses.inboxes,
        "pagerduty_routing_key": addresses.pagerduty_key,
    }
    if rules is not None:
        settings["rules"] = str(rules.resolve())
    lines = [f"export KUBECONFIG={addresses.kubeconfig}"]
    lines += [f"export {PREFIX}{name.upper()}={value}" for name, value in settings.items()]
    return "\n".join(lines)


def serving(addresses: Addresses) -> str:
    """The line that starts a responder, under its own account: as a variable that would be everybody's."""
    return f"responder serve --kubeconfig {addresses.responder_kubeconfig}"
