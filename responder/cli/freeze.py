"""`responder freeze` and `unfreeze`: holding back every rollback that was not sent yet, and going on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from responder.cli.cluster import (
    ContextOption,
    HomeOption,
    KubeconfigOption,
    Place,
    on_cluster,
    parse_place,
)
from responder.cli.freeze_marks import Marked, list_marks, write_mark
from responder.cli.output import Output, OutputOption, instant, show_table, to_json
from responder.clock import SystemClock
from responder.errors import Permanent
from responder.workloads.freeze import FreezeMark, parse_freeze, write_freeze

if TYPE_CHECKING:
    from responder.clients.kubernetes import Kubernetes

_TITLES = ("WHERE", "REASON", "UNTIL", "COUNTS")

PlaceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAMESPACE[/[KIND/]WORKLOAD]",
        help="A namespace or a workload in it; everything without it.",
        show_default=False,
    ),
]


class FrozenAlready(Permanent):
    """Somebody else's freeze is there, and would be lost."""


def freeze(
    place: PlaceArgument = None,
    reason: Annotated[str | None, typer.Option(help="Why; people who are asked instead read it.")] = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="End it by itself, such as after 2h.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", metavar="", help="Also where a freeze is, in its place.")
    ] = False,
    listed: Annotated[
        bool,
        typer.Option(
            "--list",
            metavar="",
            help="Show what is frozen, change nothing. Exits 1 where none is seen and not all was.",
        ),
    ] = False,
    home: HomeOption = None,
    output: OutputOption = Output.TEXT,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Hold back every rollback that was not sent yet: of a workload, in a namespace, or everywhere.

    People are asked instead, and may decide to roll back all the same.
    """
    where, clock = parse_place(place), SystemClock()
    if listed:
        marks, all_seen = on_cluster(kubeconfig, context, lambda api: list_marks(api, where, home))
        _show(marks, output, all_seen=all_seen)
        if not (marks or all_seen):
            # A script that asks before it goes on must not take this for "nothing is frozen".
            raise typer.Exit(1)
        return
    if not (reason and reason.strip()):
        raise typer.BadParameter("--reason is needed: whoever is asked instead wants to know why")
    until = None if for_ is None else clock.now().replace(microsecond=0) + _duration(for_)
    mark = FreezeMark(reason.strip(), until)
    if parse_freeze(write_freeze(mark)) != mark:
        raise typer.BadParameter("--reason must not begin as an end does: give the end with --for")
    print(on_cluster(kubeconfig, context, lambda api: _freeze(api, where, home, mark, replace=replace)))


def unfreeze(
    place: PlaceArgument = None,
    home: HomeOption = None,
    output: OutputOption = Output.TEXT,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Take a freeze away. What people were asked meanwhile stays theirs to decide."""
    where = parse_place(place)
    there = on_cluster(kubeconfig, context, lambda api: write_mark(api, where, home, lambda there: None))
    if output is Output.JSON:
        mark = there.mark
        print(
            to_json(
                {
                    "where": there.where,
                    "wasFrozen": mark is not None,
                    "reason": mark and mark.reason,
                    "until": mark and mark.until,
                }
            )
        )
    elif there.mark is None:
        print(f"Not frozen: {there.where} carried no freeze.")
    else:
        print(f"Goes on: {there.where}. It was frozen{_end(there.mark)}. ({there.mark.reason})")


def _duration(text: str) -> timedelta:
    from responder.rules.findings import TextError
    from responder.rules.quantities import parse_duration

    try:
        found = parse_duration(text)
    except TextError as error:
        raise typer.BadParameter(f"--for: {error}") from None
    if found < timedelta(seconds=1):
        raise typer.BadParameter("--for: must be a second at least")
    return found


async def _freeze(
    kubernetes: Kubernetes, place: Place, home: str | None, mark: FreezeMark, *, replace: bool
) -> str:
    now = SystemClock().now()

    def check(there: Marked) -> str:
        if there.mark is not None and there.mark.in_force(now) and not replace:
            raise FrozenAlready(
                f"{there.where} is frozen already{_end(there.mark)}, saying {there.mark.reason!r};"
                " --replace puts this freeze in its place"
            )
        return write_freeze(mark)

    marked = await write_mark(kubernetes, place, home, check)
    return f"Frozen{_end(mark)}: {marked.where}. ({mark.reason})"


def _end(mark: FreezeMark) -> str:
    return "" if mark.until is None else f" until {instant(mark.until)}"


def _show(marks: list[Marked], output: Output, *, all_seen: bool) -> None:
    now = SystemClock().now()
    rows = [(each.where, each.mark) for each in marks if each.mark is not None]
    if output is Output.JSON:
        print(
            to_json(
                [
                    {"where": where, "reason": mark.reason, "until": mark.until, "counts": mark.in_force(now)}
                    for where, mark in rows
                ]
            )
        )
    elif not rows:
        print("Nothing is frozen." if all_seen else "No freeze seen in what could be looked at.")
    else:
        show_table(
            _TITLES,
            [
                (where, mark.reason, instant(mark.until), "yes" if mark.in_force(now) else "no, it is over")
                for where, mark in rows
            ],
        )
