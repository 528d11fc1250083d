"""Where the real Prometheus and Alertmanager are: in build/real (see .ci/fetch-binaries) or on the PATH.

Looks, and starts nothing. Called by the demo and by tests/real.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from responder.errors import Permanent

Binary = Literal["prometheus", "promtool", "alertmanager", "amtool"]
BINARIES: tuple[Binary, ...] = ("prometheus", "promtool", "alertmanager", "amtool")

FETCHED = Path(__file__).parents[2] / "build" / "real" / "usr" / "bin"

# Debian's Alertmanager bears its package's name.
_FILE_NAMES: dict[Binary, tuple[str, ...]] = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "amtool": ("amtool",),
}


class BinaryMissing(Permanent):
    """A real binary is needed and not there."""


def find_binary(name: Binary, folder: Path = FETCHED) -> Path | None:
    """The fetched binary, else the one on the PATH, else None."""
    for file_name in _FILE_NAMES[name]:
        found = shutil.which(file_name, path=str(folder)) or shutil.which(file_name)
        if found is not None:
            return Path(found)
    return None


def missing_binaries(folder: Path = FETCHED) -> tuple[Binary, ...]:
    """The names of the binaries that are not there."""
    return tuple(name for name in BINARIES if find_binary(name, folder) is None)


def require_binary(name: Binary, folder: Path = FETCHED) -> Path:
    """The binary's path. Raises BinaryMissing with what to do."""
    found = find_binary(name, folder)
    if found is None:
        raise BinaryMissing(
            f"{name} is neither in {folder} nor on the PATH: run `make binaries`, which fetches it"
        )
    return found
