"""`responder` itself: reads flags, starts things, and turns errors into one line and an exit code.

Parts that take long to import are imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from responder.cli.demo import demo
from responder.cli.rules import rules_commands
from responder.cli.sandbox import sandbox
from responder.clock import SystemClock
from responder.errors import ResponderError
from responder.settings import SettingsError, load_settings
from responder.telemetry import configure_logging

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turns a firing alert into a proven rollback, or into a person who knows why it was not done.",
)
cli.command()(demo)
cli.command()(sandbox)
cli.add_typer(rules_commands, name="rules")


def main() -> None:
    """Run the command; a problem that a person can mend is one line on stderr and exit code 1."""
    try:
        cli()
    except (ResponderError, SettingsError) as error:
        print(f"responder: {error}", file=sys.stderr)
        sys.exit(1)


@cli.command()
def serve(
    listen: Annotated[str | None, typer.Option(help="HOST:PORT for webhooks, Slack and probes.")] = None,
    rules: Annotated[Path | None, typer.Option(help="The folder of rule files.")] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="The cluster to act on; default: this pod's.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="The kubeconfig's context.")] = None,
    prometheus_url: Annotated[str | None, typer.Option(help="Where conditions are measured.")] = None,
    alertmanager_url: Annotated[
        list[str] | None, typer.Option(help="Where alerts come from; repeat it for each member.")
    ] = None,
    slack_api_url: Annotated[str | None, typer.Option(help="Slack's Web API.")] = None,
    pagerduty_url: Annotated[str | None, typer.Option(help="PagerDuty's Events API.")] = None,
    namespace: Annotated[str | None, typer.Option(help="The responder's own namespace.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
) -> None:
    """Serve webhooks and drive incidents. Each flag is also a RESPONDER_... variable, secrets only that."""
    settings = load_settings(
        {
            "listen": listen,
            "rules": rules,
            "kubeconfig": kubeconfig,
            "context": context,
            "prometheus_url": prometheus_url,
            "alertmanager_urls": tuple(alertmanager_url) if alertmanager_url else None,
            "slack_api_url": slack_api_url,
            "pagerduty_url": pagerduty_url,
            "namespace": namespace,
            "log_format": log_format,
        }
    )
    clock = SystemClock()
    configure_logging(settings.log_format, clock.now)

    async def run() -> None:
        from responder.app import serve as serve_app

        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await serve_app(settings, clock, stop)

    asyncio.run(run())
