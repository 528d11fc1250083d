"""Wiring for every test: asynchronous tests may leave no task behind."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest

from tests.shared import check_no_tasks


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the leak check outermost, around every other fixture of an asynchronous test."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "no_task_leaks")


@pytest.fixture
async def no_task_leaks() -> AsyncIterator[None]:
    """Fail the test that leaves a task running."""
    before = frozenset(asyncio.all_tasks())
    yield
    await check_no_tasks(before)
