"""What tests of every kind share: running a story in virtual time, and finding the recorded transcripts.

Imported by tests; fixtures stand in conftest.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from responder.sandbox.virtual_time import run_virtual

T = TypeVar("T")

CHECKOUT = Path(__file__).parents[1]


def run_story(story: Coroutine[Any, Any, T]) -> T:
    """Run a story to its end on a new virtual-time loop.

    It fails if it leaves a task running, or if the loop was told of an exception that nobody raised to it:
    a controller's or a listener's, which the simulated cluster itself survives.
    """
    return run_virtual(_without_leaks(story))


async def _without_leaks(story: Coroutine[Any, Any, T]) -> T:
    async with no_failures():
        result = await story
        await check_no_tasks()
    return result


@asynccontextmanager
async def no_failures() -> AsyncIterator[list[str]]:
    """Fail at the end if the loop was told of an exception; whoever expects one clears the list."""
    told: list[str] = []
    causes: list[Exception] = []

    def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), Exception):
            told.append(f"{context['message']}: {context['exception']!r}")
            causes.append(context["exception"])
        loop.default_exception_handler(context)

    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(note)
    try:
        yield told
    finally:
        loop.set_exception_handler(before)
    if told:
        raise AssertionError("; ".join(told)) from causes[0]


async def check_no_tasks(known: frozenset[asyncio.Task[Any]] = frozenset()) -> None:
    """Fail if a task other than this one and the known ones is still running.

    A connection that was just closed may have its last step to go, so the loop turns a few times first.
    """
    for _ in range(5):
        leaked = asyncio.all_tasks() - known - {asyncio.current_task()}
        if not leaked:
            return
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no wait
    names = "; ".join(sorted(repr(task.get_coro()) for task in leaked))
    pytest.fail(f"left running: {names}; whoever starts a task must wait for its end (TaskGroup)")


def shared_kubernetes() -> Path | None:
    """The folder of transcripts of a real API server beside the checkout, or None where it is absent."""
    folder = CHECKOUT.parent / "shared" / "kubernetes"
    return folder if (folder / "transcripts").is_dir() else None


def require_transcripts() -> Path:
    """The folder of transcripts; skips the test plainly where it is absent."""
    folder = shared_kubernetes()
    if folder is None:
        pytest.skip("needs the transcripts of a real API server in ../shared/kubernetes, which is not here")
    return folder / "transcripts"
