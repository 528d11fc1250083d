"""`responder` itself: reads flags, starts things, and turns errors into one line and an exit code.

Parts that take long to import are imported by the command that needs them.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from responder.cli.demo import demo
from responder.cli.explain import explain
from responder.cli.freeze import freeze, unfreeze
from responder.cli.incidents import incidents
from responder.cli.known_bad import known_bad
from responder.cli.resume_owner import resume_owner
from responder.cli.rules import rules_commands
from responder.cli.sandbox import sandbox
from responder.clock import SystemClock
from responder.errors import ResponderError
from responder.settings import Settings, SettingsError, load_settings, variables_of
from responder.telemetry import configure_logging

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command()(demo)
cli.command()(sandbox)
cli.command()(incidents)
cli.command()(explain)
cli.command()(freeze)
cli.command()(unfreeze)
cli.command("known-bad")(known_bad)
cli.command("resume-owner")(resume_owner)
cli.add_typer(rules_commands, name="rules")


def main() -> None:
    """Run the command; a problem that a person can mend is one line on stderr and exit code 1."""
    # On stdout is the result alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        cli()
    except (ResponderError, SettingsError) as error:
        print(f"responder: {error}", file=sys.stderr)
        sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        from responder.clients.kubernetes.connection import program_version

        print(f"responder {program_version()}")
        raise typer.Exit


@cli.callback()
def responder(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Turns a firing alert into a proven rollback, or into a person who knows why it was not done."""


def _flag(field: str) -> Any:
    """A flag in the words of the setting that it sets; what is given nowhere is the setting's to fill in."""
    info = Settings.model_fields[field]
    default = "; required" if info.is_required() else f"; default: {info.default}" if info.default else ""
    return typer.Option(help=f"{info.description} ({variables_of(field)[0]}{default})")


@cli.command()
def serve(
    listen: Annotated[str | None, _flag("listen")] = None,
    rules: Annotated[Path | None, _flag("rules")] = None,
    kubeconfig: Annotated[Path | None, _flag("kubeconfig")] = None,
    context: Annotated[str | None, _flag("context")] = None,
    prometheus_url: Annotated[str | None, _flag("prometheus_url")] = None,
    alertmanager_url: Annotated[list[str] | None, _flag("alertmanager_urls")] = None,
    slack_api_url: Annotated[str | None, _flag("slack_api_url")] = None,
    pagerduty_url: Annotated[str | None, _flag("pagerduty_url")] = None,
    namespace: Annotated[str | None, _flag("namespace")] = None,
    log_format: Annotated[str | None, _flag("log_format")] = None,
) -> None:
    """Serve webhooks and drive incidents.

    Required are --prometheus-url, and RESPONDER_WEBHOOK_TOKEN or RESPONDER_WEBHOOK_TOKEN_FILE.

    Secrets are never flags: a variable holds one, or its ..._FILE variable names the file.
    """
    settings = load_settings(
        {
            "listen": listen,
            "rules": rules,
            "kubeconfig": kubeconfig,
            "context": context,
            "prometheus_url": prometheus_url,
            "alertmanager_urls": ",".join(alertmanager_url) if alertmanager_url else None,
            "slack_api_url": slack_api_url,
            "pagerduty_url": pagerduty_url,
            "namespace": namespace,
            "log_format": log_format,
        }
    )
    if not settings.rules.exists():
        raise SettingsError(
            f"{settings.rules}: does not exist; name a rule file, or a folder of them, with --rules or"
            f" {variables_of('rules')[0]}"
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
