"""Reasons are data: one CamelCase token, the same in the incident, the log, the metric and the message."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.tidy.tree import Module, modules

TOKEN = re.compile(r"[A-Z][a-z0-9]+([A-Z]+[a-z0-9]*)*")
VERDICTS = {"passed", "failed", "unknown"}


def reasons(module: Module) -> Iterator[tuple[int, str]]:
    """The line and text of every reason in a call: `reason=...`, and the second place of a verdict."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        given = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        if isinstance(node.func, ast.Name) and node.func.id in VERDICTS:
            given += node.args[1:2]
        for value in given:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.lineno, value.value


def test_reasons_are_camel_case_tokens() -> None:
    # The sandbox speaks in the words of the servers it plays.
    ours = [module for module in modules() if not module.name.startswith("responder.sandbox")]
    found = [(f"{module.where}:{line}", text) for module in ours for line, text in reasons(module)]
    assert [(where, text) for where, text in found if not TOKEN.fullmatch(text)] == []
    assert len(found) >= 20, "this test no longer sees where reasons are written"
