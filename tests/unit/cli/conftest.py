"""A cluster and a command line for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.cli.commands import Shell, shell


@pytest.fixture
async def sh(tmp_path: Path) -> AsyncIterator[Shell]:
    """The command line, in a cluster with payment-service."""
    async with shell(tmp_path) as found:
        yield found
