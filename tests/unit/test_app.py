"""The composition root: what keeps it from starting is one error, and nothing is left running."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.app import CanNotListen, _keep_running, running
from responder.sandbox.api.server import kubeconfig
from responder.sandbox.virtual_time import LoopClock
from responder.settings import Settings
from responder.tasks import alongside
from responder.telemetry import Metrics
from tests.shared import CHECKOUT, run_story

AT = datetime(2026, 1, 1, tzinfo=UTC)


def settings(folder: Path, listen: str) -> Settings:
    """Of a responder whose cluster does not answer."""
    file = folder / "kubeconfig"
    file.write_text(json.dumps(kubeconfig("http://127.0.0.1:1", "token")))
    return Settings(
        listen=listen,
        rules=CHECKOUT / "rules",
        kubeconfig=file,
        prometheus_url="http://127.0.0.1:1",
        webhook_token="token",
    )


def start(folder: Path, listen: str) -> None:
    async def story() -> None:
        async with running(settings(folder, listen), LoopClock(AT)):
            pytest.fail("it started")

    run_story(story())


def test_a_port_in_use_is_one_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CanNotListen, match=f"can't listen on {listen}: Address already in use; choose"):
            start(tmp_path, listen)


def test_an_address_that_is_not_this_machines_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(CanNotListen, match=r"192\.0\.2\.1:0: Cannot assign requested address"):
        start(tmp_path, "192.0.2.1:0")


class Breaking:
    """Work that meets a defect twice, and then goes on for ever."""

    def __init__(self) -> None:
        self.begun = 0

    async def run(self) -> None:
        self.begun += 1
        if self.begun <= 2:
            raise ZeroDivisionError
        await asyncio.Event().wait()


def test_a_defect_beside_the_driving_of_incidents_ends_nothing_else() -> None:
    async def story() -> None:
        metrics, work = Metrics(), Breaking()
        async with alongside(_keep_running(work, LoopClock(AT), metrics)):
            await LoopClock(AT).sleep(10)
        assert work.begun == 3
        assert 'responder_unexpected_errors_total{work="breaking"} 2.0' in metrics.render().decode()

    run_story(story())
