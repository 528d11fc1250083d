"""When a container that crashes every so often runs, and when it waits to be restarted.

Pure. Called by the kubelet.
Source: Kubernetes pkg/kubelet/kubelet.go MaxCrashLoopBackOff, client-go util/flowcontrol/backoff.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_FIRST_BACK_OFF, _LONGEST_BACK_OFF = timedelta(seconds=10), timedelta(minutes=5)
# Who ran for so long begins with the first back-off again.
_FORGOTTEN_AFTER = 2 * _LONGEST_BACK_OFF


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a container: it crashes at ends_at, and the next begins at resumes_at."""

    restarts: int
    began_at: datetime
    ends_at: datetime
    resumes_at: datetime

    @property
    def back_off(self) -> timedelta:
        """How long the kubelet waits before the next run."""
        return self.resumes_at - self.ends_at


def runs_by(now: datetime, first_at: datetime, every: timedelta) -> tuple[Run | None, Run]:
    """The run before, if any, and the run that began last, of a container that crashes every so often.

    every counts from each start. The first restart is at once; from then on the kubelet waits 10 s, 20 s,
    40 s, up to 5 min.
    """
    before: Run | None = None
    run = Run(0, first_at, first_at + every, first_at + every)
    while run.resumes_at <= now:
        ends_at = run.resumes_at + every
        after = Run(run.restarts + 1, run.resumes_at, ends_at, ends_at + _next_back_off(run, every))
        before, run = run, after
    return before, run


def _next_back_off(run: Run, every: timedelta) -> timedelta:
    if every > _FORGOTTEN_AFTER:
        return timedelta(0)
    return min(max(2 * run.back_off, _FIRST_BACK_OFF), _LONGEST_BACK_OFF)
