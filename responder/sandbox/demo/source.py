"""Where the demo's alerts come from: the real Prometheus and Alertmanager, or the built-in ones and why."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from responder.sandbox.binaries import FETCHED, Binary, find_binary, require_binary

_NEEDED: tuple[Binary, ...] = ("prometheus", "alertmanager")
_VERSION = re.compile(r"version (\S+)")
_ANSWER_SECONDS = 10


@dataclass(frozen=True, slots=True)
class AlertSource:
    """Who scrapes, evaluates the rules and notifies. `versions` are those of the real programs."""

    real: bool
    versions: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.real:
            return "the built-in Prometheus and Alertmanager"
        return " and ".join(f"{name.capitalize()} {version}" for name, version in self.versions.items())


def find_source(*, require_real: bool, folder: Path = FETCHED) -> AlertSource:
    """The real programs where they are there, else the built-in ones.

    Raises BinaryMissing, with what to do, where the real ones are required.
    """
    found = {name: find_binary(name, folder) for name in _NEEDED}
    paths = {name: path for name, path in found.items() if path is not None}
    if len(paths) == len(_NEEDED):
        return AlertSource(real=True, versions={name: _version(path) for name, path in paths.items()})
    if require_real:
        for name in _NEEDED:
            require_binary(name, folder)
    return AlertSource(real=False)


def _version(path: Path) -> str:
    done = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False, timeout=_ANSWER_SECONDS
    )
    match = _VERSION.search(done.stdout + done.stderr)
    return match[1] if match else "of unknown version"
