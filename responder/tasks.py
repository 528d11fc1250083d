"""Running several things at once: none outlives the others, and the first error is raised as itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")
K = TypeVar("K")


class _Group(asyncio.TaskGroup):
    """A TaskGroup that can be waited for before its context is left."""

    def __init__(self) -> None:
        super().__init__()
        self._left: set[asyncio.Task[Any]] = set()

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        task = super().create_task(coro, name=name, context=context)
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        return task

    async def all_done(self) -> None:
        """Return once every task has ended, also those that others began."""
        while self._left:
            await asyncio.wait(self._left)


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup that raises the first error of its tasks, not a group of them, and cancels the rest.

    Whoever is cancelled meanwhile from outside is cancelled, whatever its tasks raise.
    """
    task = asyncio.current_task()
    cancelling = 0 if task is None else task.cancelling()
    try:
        async with _Group() as group:
            yield group
            # Waited for inside the context: on leaving it, Python 3.11 takes back only a cancellation that it
            # asked for before. Source: https://github.com/python/cpython/issues/116720
            await group.all_done()
    except BaseExceptionGroup as errors:
        # Errors go before a cancellation there: a timeout or a stop would be lost.
        if task is not None and task.cancelling() > cancelling:
            raise asyncio.CancelledError from errors
        raise _first(errors) from errors


async def results_of(works: Mapping[K, Coroutine[Any, Any, T]]) -> dict[K, T]:
    """What each of these comes to, under its key, all at the same time. Raises as together() does."""
    async with together() as group:
        tasks = {key: group.create_task(work) for key, work in works.items()}
    return {key: task.result() for key, task in tasks.items()}


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
