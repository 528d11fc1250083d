"""An event loop whose clock jumps over every wait, so that an hour of rollout takes a second to test.

Timers are virtual, sockets are real: servers and clients in one loop talk over loopback as always. Nothing
here knows what runs on the loop. Called by tests and by the sandbox's scenarios.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import datetime, timedelta
from typing import Any, TypeVar

from responder.clock import SystemClock
from responder.errors import ResponderError

T = TypeVar("T")

# A busy kernel may leave loopback delivery to a thread of its own, and to jump before that had its turn is a
# false timeout. There is such a wait for every jump, so it is as short as the system can sleep, some 0.1 ms;
# to give up a turn instead takes milliseconds beside other work.
_IO_GRACE_SECONDS = 0.000001


class StalledLoopError(ResponderError):
    """The virtual-time loop has nothing left to wait for, so it would hang for ever."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector event loop on which time passes only by jumping to the next timer.

    Time starts at 0. While a job in an executor is outstanding the loop waits for it in real time, and a
    timer fires only after as much real waiting as it asks for: what a thread does cannot be jumped over.
    With no timer, no I/O and no such job for stall_seconds of real time the loop raises StalledLoopError;
    it waits that long because a thread or child process out of its sight may still speak.
    """

    def __init__(self, stall_seconds: float = 5.0) -> None:
        self._virtual_seconds = 0.0
        self._executor_jobs = 0
        super().__init__(_JumpingSelector(self._jump, lambda: self._executor_jobs > 0, stall_seconds))

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._virtual_seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run func in a thread, holding virtual time back until it ends."""
        job = super().run_in_executor(executor, func, *args)
        self._executor_jobs += 1
        job.add_done_callback(self._forget_job)
        return job

    def _forget_job(self, _job: asyncio.Future[Any]) -> None:
        self._executor_jobs -= 1

    def _jump(self, seconds: float) -> None:
        self._virtual_seconds += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that, where it would sleep for want of I/O, moves the loop's clock instead."""

    def __init__(
        self, jump: Callable[[float], None], waits_for_executor: Callable[[], bool], stall_seconds: float
    ) -> None:
        super().__init__()
        self._stall_seconds = stall_seconds
        self._jump = jump
        self._waits_for_executor = waits_for_executor
        self._real_waited_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now, or jump over timeout seconds and return nothing.

        Raises StalledLoopError when there is no timer (timeout is None) and nothing else to wait for.
        """
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            return self._select_without_timer()
        if self._waits_for_executor():
            ready = self._select_in_real_time(timeout)
        else:
            time.sleep(_IO_GRACE_SECONDS)  # noqa: TID251 - the loop itself waits here, not a task on it
            ready = super().select(0)
        if not ready:
            self._real_waited_seconds = 0.0
            self._jump(timeout)
        return ready

    def _select_in_real_time(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        # Waits are added up over interruptions, or steady traffic could hold a timer back for ever.
        started = time.perf_counter()
        ready = super().select(max(0.0, timeout - self._real_waited_seconds))
        self._real_waited_seconds += time.perf_counter() - started
        return ready

    def _select_without_timer(self) -> list[tuple[selectors.SelectorKey, int]]:
        if self._waits_for_executor():
            return super().select(None)
        ready = super().select(self._stall_seconds)
        if not ready:
            raise StalledLoopError(
                "the virtual-time loop stands still: no callback is ready, no timer is set and no socket"
                f" has spoken for {self._stall_seconds:g} s, so what is awaited can never happen; look for an"
                " Event that nobody sets or a peer that never answers"
            )
        return ready


class LoopClock(SystemClock):
    """A Clock that tells the running loop's time, counted from start.

    start is the aware UTC instant at which the loop's own time was 0, as on a new VirtualTimeLoop.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start

    def now(self) -> datetime:
        """Return start plus the running loop's time."""
        return self._start + timedelta(seconds=asyncio.get_running_loop().time())


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run main to its end on a new VirtualTimeLoop and return its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
