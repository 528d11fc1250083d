"""Imports point one way, pure modules stay pure, and the sandbox judges without the code it judges."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.shared import CHECKOUT
from tests.tidy.tree import Module, modules

# What a pure module would need to look at the world, or to wait for it.
IMPURE = (
    *("aiohttp", "asyncio", "http", "kubernetes_asyncio", "logging", "os", "pdpyras", "random", "requests"),
    *("secrets", "slack_sdk", "socket", "structlog", "subprocess", "tempfile", "threading", "time", "uuid"),
    *("responder.clients", "responder.clock", "responder.settings", "responder.telemetry"),
)
# Judging rests on these alone, so what they import must be pure in its turn.
HEART = re.compile(r"responder\.(alerts|workloads|rules\.(conditions|decide|facts|guards|matchers|model))\b")
PLAIN = {"responder.errors", "responder.verdicts"}
# The judge can't lean on what it judges.
JUDGED = tuple(
    f"responder.{room}" for room in ("actions", "clients", "incidents", "pipeline", "verification")
)


def is_pure(module: Module) -> bool:
    """Whether its docstring says "Pure"."""
    return re.search(r"\bPure\b", module.docstring) is not None


def ours() -> list[Module]:
    """Every module with code of its own, the packages' front doors left out."""
    return [module for module in modules() if module.path.stem != "__init__"]


def test_the_layers_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pure_modules_look_at_nothing() -> None:
    looking = [
        f"{module.where}:{line}: {name}"
        for module in ours()
        if is_pure(module)
        for line, name in module.imports
        if any(name == banned or name.startswith(f"{banned}.") for banned in IMPURE)
    ]
    assert looking == []


def test_judging_rests_on_pure_modules_alone() -> None:
    allowed = PLAIN | {module.name for module in ours() if is_pure(module)}
    heart = [module for module in ours() if HEART.match(module.name)]
    assert [module.where for module in heart if not is_pure(module)] == []
    assert [
        f"{module.where}:{line}: {name}"
        for module in heart
        for line, name in module.imports
        if name.startswith("responder.") and name not in allowed
    ] == []


def test_the_sandbox_is_independent_of_what_it_judges() -> None:
    leaning = [
        f"{module.where}:{line}: {name}"
        for module in modules()
        if module.name.startswith("responder.sandbox")
        for line, name in module.imports
        if name.startswith(JUDGED)
    ]
    assert leaning == []
