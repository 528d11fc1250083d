"""The command: runs the benches, prints the table, writes build/bench.json. A missed goal is no error."""

from __future__ import annotations

import asyncio
import platform
import shlex
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from os import cpu_count
from pathlib import Path
from typing import Annotated, assert_never

import typer
from rich.console import Console

from responder.clock import Clock, SystemClock
from responder.errors import ResponderError
from responder.sandbox.bench.closed import measure_closed
from responder.sandbox.bench.figures import Figure, render_json, render_markdown, render_table
from responder.sandbox.bench.footprint import measure_footprint
from responder.sandbox.bench.ground import (
    KUBECONFIG_VARIABLE,
    Ground,
    external_kubeconfig,
    hold_ground,
)
from responder.sandbox.bench.judging import measure_judging
from responder.sandbox.bench.proof import measure_proof
from responder.sandbox.bench.race import run_race
from responder.sandbox.bench.storm import measure_storm
from responder.sandbox.bench.takeover import measure_takeovers


class Part(StrEnum):
    """What can be measured by itself."""

    RACE = "race"
    JUDGING = "judging"
    FOOTPRINT = "footprint"
    PROOF = "proof"
    CLOSED = "closed"
    TAKEOVER = "takeover"
    STORM = "storm"


# These look into the sandbox, or fill a cluster as nobody wants theirs filled.
_IN_THE_SANDBOX = (Part.PROOF, Part.CLOSED, Part.TAKEOVER, Part.STORM)
# These bring an API server of their own.
_ALONE = (Part.CLOSED, Part.TAKEOVER, Part.STORM)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each is measured."""

    turns: int
    kubectl_turns: int
    proofs: int
    closed: int
    takeovers: int
    groups: int


def bench(
    parts: Annotated[list[Part] | None, typer.Argument(help="What to measure; all of it by default.")] = None,
    turns: Annotated[int, typer.Option(min=2, help="How many incidents.")] = 30,
    kubectl_turns: Annotated[int, typer.Option(min=2, help="How many undos by kubectl.")] = 10,
    proofs: Annotated[int, typer.Option(min=1, help="How many proofs of traffic.")] = 5,
    closed: Annotated[int, typer.Option(min=1, help="How many closed incidents.")] = 10_000,
    takeovers: Annotated[int, typer.Option(min=1, help="How many take-overs of each kind.")] = 3,
    groups: Annotated[int, typer.Option(min=1, max=1000, help="How many groups a storm has.")] = 1000,
    markdown: Annotated[bool, typer.Option(help="Print the table as the README has it.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the figures and the logs go.")] = Path("build"),
) -> None:
    """Measure the responder: beside its bare requests and kubectl, in a storm, at a take-over."""
    console = Console(stderr=markdown)
    logs = (folder / "bench").resolve()
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    size = Size(turns, kubectl_turns, proofs, closed, takeovers, groups)
    try:
        figures = asyncio.run(_measure(console, parts or list(Part), size, logs))
    except ResponderError as error:
        console.print(str(error), style="red")
        raise typer.Exit(1) from error
    (folder / "bench.json").write_text(render_json(figures), encoding="utf-8")
    if markdown:
        print(render_markdown(figures, f"`{_command()}` on {_machine()}."))
    else:
        console.print(render_table(figures, f"bench on {_machine()}"))


async def _measure(console: Console, parts: list[Part], size: Size, folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    clock = SystemClock()
    if external_kubeconfig() is not None:
        for part in (part for part in parts if part in _IN_THE_SANDBOX):
            console.print(f"left out: {part}, which needs the sandbox (unset {KUBECONFIG_VARIABLE})")
        parts = [part for part in parts if part not in _IN_THE_SANDBOX]
    grounded = [part for part in Part if part in parts and part not in _ALONE]
    if grounded:
        async with hold_ground(folder, clock) as ground:
            console.print(f"server: {external_kubeconfig() or 'the sandbox, in a process of its own'}")
            if ground.kubectl is None:
                console.print("left out: kubectl, which is neither beside this Python nor on the PATH")
            for part in grounded:
                console.print(f"{part}: {_describe(part, size)} ...")
                figures += await _measure_on(ground, part, size)
    for part in (part for part in _ALONE if part in parts):
        console.print(f"{part}: {_describe(part, size)} ...")
        figures += await _measure_alone(part, size, folder / part, clock)
    return figures


def _describe(part: Part, size: Size) -> str:
    match part:
        case Part.RACE:
            return f"from webhook to undo, {size.turns} incidents"
        case Part.JUDGING:
            return "matching and deciding"
        case Part.FOOTPRINT:
            return "starting and idling"
        case Part.PROOF:
            return f"{size.proofs} proofs of traffic"
        case Part.CLOSED:
            return f"starting with {size.closed} closed incidents"
        case Part.TAKEOVER:
            return f"{size.takeovers} leaders killed and {size.takeovers} stopped"
        case Part.STORM:
            return f"{size.groups} groups of alerts within a minute"
        case _:
            assert_never(part)


async def _measure_on(ground: Ground, part: Part, size: Size) -> list[Figure]:
    if part is Part.RACE:
        return await run_race(ground, size.turns, size.kubectl_turns)
    if part is Part.JUDGING:
        return await measure_judging(ground)
    if part is Part.FOOTPRINT:
        return await measure_footprint(ground)
    return await measure_proof(ground, size.proofs)


async def _measure_alone(part: Part, size: Size, folder: Path, clock: Clock) -> list[Figure]:
    if part is Part.CLOSED:
        return await measure_closed(folder, clock, size.closed)
    if part is Part.TAKEOVER:
        return await measure_takeovers(folder, clock, size.takeovers)
    return await measure_storm(folder, clock, size.groups)


def _command() -> str:
    arguments = [argument for argument in sys.argv[1:] if argument != "--markdown"]
    return "make bench" + (f" ARGS={shlex.quote(shlex.join(arguments))}" if arguments else "")


def _machine() -> str:
    return (
        f"{cpu_count()} cores ({platform.machine()}), Python {platform.python_version()},"
        f" {SystemClock().now():%Y-%m-%d}"
    )


if __name__ == "__main__":
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(bench)
    command()
