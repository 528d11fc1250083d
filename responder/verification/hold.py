"""How long the traffic claim has to hold before it counts as proven. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from responder.verdicts import Verdict, passed
from responder.workloads.templates import Template

# A readiness probe's defaults. Source: Kubernetes pkg/apis/core/v1/defaults.go
_PERIOD_SECONDS = 10
_TIMEOUT_SECONDS = 1
_FAILURES = 3


@dataclass(frozen=True, slots=True)
class HoldWindow:
    """The window, and whether any readiness probe stands behind the word Ready."""

    duration: timedelta
    probed: bool


def hold_window(template: Template, min_ready_seconds: int, wish: timedelta | None) -> HoldWindow:
    """The wish if there is one; else as long as a pod that broke can still be called ready.

    That is the slowest readiness probe's failures, and minReadySeconds on top; without any probe the same
    with a probe's defaults.
    """
    probes = [container["readinessProbe"] for container in _containers(template) if _probed(container)]
    slowest = max(map(_detection_seconds, probes), default=_detection_seconds({}))
    derived = timedelta(seconds=slowest + min_ready_seconds)
    return HoldWindow(duration=derived if wish is None else wish, probed=bool(probes))


def note_probes(window: HoldWindow) -> Verdict:
    """What Ready means for this workload."""
    if window.probed:
        return passed("ReadinessProbed", "ReadinessProbed", "Ready means that a readiness probe succeeded.")
    message = "No container has a readiness probe, so ready meant only that the containers had started."
    return passed("ReadinessProbed", "NoReadinessProbe", message)


def _containers(template: Template) -> list[dict[str, Any]]:
    spec = template.get("spec") or {}
    # Init containers that restart always are sidecars, and count for readiness as well.
    return [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]


def _probed(container: dict[str, Any]) -> bool:
    return bool(container.get("readinessProbe"))


def _detection_seconds(probe: dict[str, Any]) -> int:
    period = int(probe.get("periodSeconds") or _PERIOD_SECONDS)
    failures = int(probe.get("failureThreshold") or _FAILURES)
    return failures * period + int(probe.get("timeoutSeconds") or _TIMEOUT_SECONDS)
