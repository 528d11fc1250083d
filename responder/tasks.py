"""Running several things at once: none outlives the others, and the first error is raised as itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup that raises the first error of its tasks, not a group of them, and cancels the rest."""
    task = asyncio.current_task()
    cancelling = 0 if task is None else task.cancelling()
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        # Python 3.11 leaves the parent marked as cancelled, so that a later asyncio.timeout would not end in
        # TimeoutError. Source: https://github.com/python/cpython/issues/116720
        while task is not None and task.cancelling() > cancelling:
            task.uncancel()
        raise _first(errors) from errors


@asynccontextmanager
async def alongside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run works that never end by themselves while the context lasts; an error of one ends the context."""
    async with together() as group:
        tasks = [group.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
