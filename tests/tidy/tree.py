"""The source tree as the tidiness tests read it: parsed, never imported."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.shared import CHECKOUT

PACKAGE = CHECKOUT / "responder"


class Module(NamedTuple):
    """One source file."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        return str(self.path.relative_to(CHECKOUT))

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    @property
    def imports(self) -> Iterator[tuple[int, str]]:
        """The line and name of all it imports; `from a import b` counts as a.b where that is a module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from ((node.lineno, name if name in module_names() else node.module) for name in names)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of responder/."""
    return tuple(_parse(path) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def module_names() -> frozenset[str]:
    """The dotted names of every module and package of responder/."""
    return frozenset(_name(path) for path in PACKAGE.rglob("*.py"))


@cache
def pyproject() -> dict[str, Any]:
    """The project's configuration."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def _parse(path: Path) -> Module:
    text = path.read_text()
    return Module(path, _name(path), text, ast.parse(text))


def _name(path: Path) -> str:
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
