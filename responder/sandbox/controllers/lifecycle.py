"""When a simulated pod is ready, crashes and ends, as its annotations say.

Pure. Called by the kubelet. The scenario's author writes sandbox.responder.dev/...; the names under harness/
are those in which recordings of a real control plane carry the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from responder.errors import ResponderError

T = TypeVar("T")

PREFIXES = ("sandbox.responder.dev/", "harness/")
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "": "seconds"}


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How long what takes, or lasts.

    ready_after counts from the pod's appearance or its containers' restart, unready_after (once) from being
    ready, terminate_after from the deletion, crash_every from each start of the containers.
    """

    ready_after: timedelta = timedelta(seconds=1)
    never_ready: bool = False
    terminate_after: timedelta = timedelta(seconds=1)
    unready_after: timedelta | None = None
    crash_every: timedelta | None = None


def parse_lifecycle(annotations: Mapping[str, str]) -> Lifecycle:
    """Read a pod's annotations; what is absent has its default, and what may never happen may say "never".

    Raises ResponderError when one is not to be understood.
    """
    known = Lifecycle()
    return Lifecycle(
        ready_after=_duration(annotations, "ready-after", known.ready_after),
        never_ready=_text(annotations, "never-ready")[1] == "true",
        terminate_after=_duration(annotations, "terminate-after", known.terminate_after),
        unready_after=_duration(annotations, "unready-after", known.unready_after),
        crash_every=_duration(annotations, "crash-every", known.crash_every),
    )


def _text(annotations: Mapping[str, str], name: str) -> tuple[str, str]:
    keys = (prefix + name for prefix in PREFIXES)
    return next(((key, annotations[key]) for key in keys if key in annotations), ("", ""))


def _duration(annotations: Mapping[str, str], name: str, default: T) -> timedelta | T:
    key, text = _text(annotations, name)
    if not key:
        return default
    if default is None and text == "never":
        return default
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ResponderError(
            f'the pod annotation {key}: "{text}" is no duration, so the sandbox leaves the pod as it is:'
            " write a number with ms, s, m or h, such as 1500ms"
        )
    return timedelta(**{_UNITS[found["unit"]]: float(found["number"])})
