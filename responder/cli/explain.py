"""`responder explain`: why something was done or not, or what would be done about a delivery."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from responder.alerts.parse import WebhookError
from responder.cli.cluster import ContextOption, HomeOption, KubeconfigOption
from responder.cli.output import Output, OutputOption
from responder.clock import SystemClock
from responder.errors import Permanent

if TYPE_CHECKING:
    from responder.settings import Settings

# Alertmanager's own deliveries are far smaller; what the responder takes in at most is a setting.
_MOST_BYTES = 16 * 1024 * 1024
_INCIDENT = "payments/deployment-payment-service-1"
_EXPECTED = (
    f"expected is an incident as NAMESPACE/NAME, such as {_INCIDENT} (`responder"
    " incidents` lists them), or a file with what Alertmanager's webhook sends, such as payload.json"
)
_EXAMPLE = (
    '{"version": "4", "alerts": [{"status": "firing", "startsAt": "2026-03-02T09:30:00Z",'
    ' "fingerprint": "a1", "labels": {"alertname": "HighErrorRate", "namespace": "payments",'
    ' "deployment": "payment-service"}}]}'
)


class CanNotExplain(Permanent):
    """What is to be explained can't be read, or what it takes is missing."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look: flags as they were given."""

    rules: Path
    kubeconfig: Path | None
    context: str | None
    prometheus_url: str | None
    alertmanager_urls: tuple[str, ...]
    home: str | None


def explain(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="INCIDENT|PAYLOAD",
            help="An incident as NAMESPACE/NAME, or as NAME with -n; or a file with what Alertmanager's"
            " webhook sends, - for standard input.",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="The incident's.")] = None,
    now: Annotated[bool, typer.Option("--now", metavar="", help="Judge the incident anew as well.")] = False,
    rules: Annotated[
        Path, typer.Option(envvar="RESPONDER_RULES", help="The rule file, or the folder of rule files.")
    ] = Path("rules"),
    prometheus_url: Annotated[
        str | None, typer.Option(envvar="RESPONDER_PROMETHEUS_URL", help="Needed to judge.")
    ] = None,
    alertmanager_url: Annotated[
        list[str] | None,
        typer.Option(help="Asked whether alerts are silenced (RESPONDER_ALERTMANAGER_URLS)."),
    ] = None,
    home: HomeOption = None,
    output: OutputOption = Output.TEXT,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Print the checklist behind a decision: each check, its verdict, and the numbers that it rests on.

    Of an incident: what was recorded when it was judged last.

    Of a payload: whose alerts, by which rules, and with a cluster and Prometheus at hand how they are judged.

    Nothing is written. A judgement rests on what you may read, and on a dry run of the undo in your name.
    """
    from responder.cli import explain_incident, explain_payload

    sources = Sources(rules, kubeconfig, context, prometheus_url, tuple(alertmanager_url or ()), home)
    if not what:
        raise typer.BadParameter(f"what is to be explained? {_EXPECTED}")
    if what == "-" or Path(what).is_file() or what.endswith(".json"):
        body, name = _read(what), "standard input" if what == "-" else what
        try:
            asyncio.run(explain_payload.explain(body, sources, SystemClock(), output))
        except WebhookError as error:
            raise CanNotExplain(
                f"{name} is not what Alertmanager's webhook sends: {error}. Expected is such as\n{_EXAMPLE}"
            ) from error
        return
    place, name = _incident(what, namespace)
    asyncio.run(explain_incident.explain(place, name, sources, SystemClock(), output, judge=now))


def _incident(what: str, namespace: str | None) -> tuple[str, str]:
    """The namespace and the name of the incident that is meant. Raises BadParameter."""
    before, slash, name = what.rpartition("/")
    if Path(what).is_dir():
        raise typer.BadParameter(f"{what} is a folder; {_EXPECTED}")
    if not name or "/" in before or (slash and not before):
        raise typer.BadParameter(f"{what} is no file and no NAMESPACE/NAME; {_EXPECTED}")
    if before and namespace not in (None, before):
        raise typer.BadParameter(f"{what} is not in namespace {namespace}")
    place = before or namespace
    if not place:
        raise typer.BadParameter(
            f"{what} is no file. Write an incident as NAMESPACE/NAME (`responder incidents` lists them), such"
            f" as {_INCIDENT}, or add -n NAMESPACE; or name a file with what Alertmanager sends, such as"
            " payload.json"
        )
    return place, name


def settings_of(sources: Sources, home: str) -> Settings:
    """The settings that a responder would judge by. Raises CanNotExplain without Prometheus."""
    from responder.settings import load_settings

    if sources.prometheus_url is None:
        raise CanNotExplain("to judge takes Prometheus: name it with --prometheus-url")
    return load_settings(
        {
            "rules": sources.rules,
            "kubeconfig": sources.kubeconfig,
            "context": sources.context,
            "prometheus_url": sources.prometheus_url,
            "alertmanager_urls": ",".join(sources.alertmanager_urls) or None,
            "namespace": home,
        },
        listening=False,
    )


def _read(what: str) -> bytes:
    try:
        if what == "-":
            body = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(what).open("rb") as file:
                body = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CanNotExplain(f"{what} can't be read: {error.strerror}") from error
    if len(body) > _MOST_BYTES:
        raise CanNotExplain(f"{what} is larger than {_MOST_BYTES} bytes: no delivery is")
    if not body.strip():
        name = "standard input" if what == "-" else what
        raise CanNotExplain(
            f"{name} is empty; expected is what Alertmanager's webhook sends, such as\n{_EXAMPLE}"
        )
    return body
