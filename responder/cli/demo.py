"""`responder demo`: bad releases on a simulated cluster, and a real responder that meets them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from responder.errors import ResponderError

# What only the sandbox needs: see its extra in pyproject.toml.
_SANDBOX_PACKAGES = ("jsonpatch", "jsonschema")


def demo(
    story: Annotated[
        list[str] | None,
        typer.Option(help="error-rate, slow, very-slow or not-the-release; repeat it. Default: all four."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write a record of what happened to this file.")] = None,
    require_real: Annotated[
        bool,
        typer.Option("--require-real", metavar="", help="Fail without the real Prometheus and Alertmanager."),
    ] = False,
    hold: Annotated[
        bool,
        typer.Option("--hold", metavar="", help="Keep the last story's cluster until Ctrl-C, for kubectl."),
    ] = False,
) -> None:
    """Release bad versions and watch what happens. Exits 0 only if every story ended as it should."""
    try:
        from responder.sandbox.demo.run import run_demo
    except ModuleNotFoundError as error:
        if error.name not in _SANDBOX_PACKAGES:
            raise
        raise ResponderError(f"the demo needs {error.name}: pip install 'responder[sandbox]'") from error
    raise typer.Exit(run_demo(tuple(story or ()), json_path=json, require_real=require_real, hold=hold))
