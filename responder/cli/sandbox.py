"""`responder sandbox`: a simulated cluster with traffic, metrics, alerts and inboxes, to try things on."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from responder.clock import SystemClock

if TYPE_CHECKING:
    from responder.sandbox.scenarios.stage import Addresses


def sandbox(
    scenario: Annotated[
        Path | None, typer.Argument(help="The scenario file. Default: one with a bad release.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="A rule file or a folder of them, in place of the scenario's.")
    ] = None,
    responder_url: Annotated[
        str, typer.Option(help="The responder that alerts are sent to, and that buttons reach.")
    ] = "http://127.0.0.1:8080",
    folder: Annotated[Path, typer.Option(help="The folder that kubeconfigs are written to.")] = Path(
        "build/sandbox"
    ),
    first_port: Annotated[
        int, typer.Option(min=0, max=65_532, help="The first of the four ports; 0 takes free ones.")
    ] = 0,
) -> None:
    """Run a simulated cluster until Ctrl-C: kubectl works on it, and a responder can watch over it."""
    from rich.console import Console

    from responder.rules.load import load_rules
    from responder.sandbox.scenarios.guide import address_table, exports, schedule, serving
    from responder.sandbox.scenarios.load import EXAMPLE, load_scenario
    from responder.sandbox.scenarios.stage import Options, run_scenario
    from responder.sandbox.scenarios.unheard import find_unheard

    path = scenario or EXAMPLE
    loaded = load_scenario(path)
    if rules is None and loaded.rules is not None:
        rules = path.parent / loaded.rules
    console = Console(highlight=False, soft_wrap=True)
    if rules is not None:
        for unheard in find_unheard(load_rules(rules), loaded):
            print(f"responder: warning: {unheard}", file=sys.stderr)

    def show(addresses: Addresses) -> None:
        console.print(address_table(addresses))
        console.print("\nCopy into each shell, for kubectl and the responder's commands:\n", style="dim")
        print(exports(addresses, rules), end="\n\n", flush=True)
        console.print(
            "And into one of them, for a responder with the rights that deploy/ gives it:\n", style="dim"
        )
        print(serving(addresses), end="\n\n", flush=True)
        if loaded.events:
            console.print(f"Played from now on, as {path} says:\n", style="dim")
            console.print(schedule(loaded))
        console.print("\nRuns until Ctrl-C.")

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        options = Options(responder_url.rstrip("/"), folder, first_port)
        await run_scenario(loaded, rules, options, SystemClock(), stop, ready=show, tell=console.print)

    asyncio.run(run())
