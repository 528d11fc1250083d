"""The command: runs every bench, prints the table, writes build/bench.json. A missed goal is no error."""

from __future__ import annotations

import asyncio
import platform
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from responder.clock import SystemClock
from responder.errors import ResponderError
from responder.sandbox.bench.figures import Figure, render_json, render_table
from responder.sandbox.bench.footprint import measure_footprint
from responder.sandbox.bench.ground import KUBECONFIG_VARIABLE, external_kubeconfig, hold_ground
from responder.sandbox.bench.judging import measure_judging
from responder.sandbox.bench.proof import measure_proof
from responder.sandbox.bench.race import run_race


def bench(
    turns: Annotated[int, typer.Option(min=2, help="How many incidents.")] = 30,
    kubectl_turns: Annotated[int, typer.Option(min=2, help="How many undos by kubectl.")] = 10,
    proofs: Annotated[int, typer.Option(min=1, help="How many proofs of traffic.")] = 5,
    folder: Annotated[Path, typer.Option(help="Where the figures and the logs go.")] = Path("build"),
) -> None:
    """Measure the responder beside its bare requests and beside kubectl, on one API server."""
    console = Console()
    logs = (folder / "bench").resolve()
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    try:
        figures = asyncio.run(_measure(console, turns, kubectl_turns, proofs, logs))
    except ResponderError as error:
        console.print(str(error), style="red")
        raise typer.Exit(1) from error
    (folder / "bench.json").write_text(render_json(figures), encoding="utf-8")
    console.print(render_table(figures, f"bench on {_machine()}"))


async def _measure(
    console: Console, turns: int, kubectl_turns: int, proofs: int, folder: Path
) -> list[Figure]:
    clock = SystemClock()
    figures: list[Figure] = []
    async with hold_ground(folder, clock) as ground:
        console.print(f"server: {external_kubeconfig() or 'the sandbox, in a process of its own'}")
        if ground.kubectl is None:
            console.print("left out: kubectl, which is neither beside this Python nor on the PATH")
        console.print(f"1/4 from webhook to undo, {turns} incidents ...")
        figures += await run_race(ground, turns, kubectl_turns)
        console.print("2/4 judging ...")
        figures += await measure_judging(ground)
        console.print("3/4 starting and idling ...")
        figures += await measure_footprint(ground)
        if external_kubeconfig() is None:
            console.print(f"4/4 {proofs} proofs of traffic ...")
            figures += await measure_proof(ground, proofs)
        else:
            console.print(
                f"left out: the proof of traffic, whose oracle is the sandbox's (unset {KUBECONFIG_VARIABLE})"
            )
    return figures


def _machine() -> str:
    return f"{platform.machine()}, Python {platform.python_version()}, {SystemClock().now():%Y-%m-%d}"


if __name__ == "__main__":
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(bench)
    command()
