"""The part of Kubernetes' JSONPath that printer columns use: members, indexes, [*] and simple filters.

Pure. Source: https://kubernetes.io/docs/reference/kubectl/jsonpath/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>(?:[^.\[\]\\]|\\.)+)
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | \[(?P<index>-?\d+)\]
      | (?P<every>\[\*\]|\.\*)
      | \[\?\(@\.(?P<member>[^=!<>\s]+)\s*==\s*['"]?(?P<wanted>[^'")]*)['"]?\)\]""",
    re.VERBOSE,
)


def find_path(path: str, document: Any) -> list[Any]:
    """Return every value that path leads to in document; nothing for a path that is not understood."""
    found = [document]
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return []
        found = [item for value in found for item in _follow(step, value)]
        at = step.end()
    return found


def _follow(step: re.Match[str], value: Any) -> Iterable[Any]:
    if step["every"]:
        return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if step["index"]:
        at = int(step["index"])
        return [value[at]] if isinstance(value, list) and -len(value) <= at < len(value) else ()
    if step["member"]:
        return _filtered(value, step["member"], step["wanted"])
    name = step["quoted"] or re.sub(r"\\(.)", r"\1", step["name"])
    return [value[name]] if isinstance(value, dict) and name in value else ()


def _filtered(value: Any, member: str, wanted: str) -> Iterator[Any]:
    for item in value if isinstance(value, list) else ():
        if any(_text(found) == wanted for found in find_path(f".{member}", item)):
            yield item


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
