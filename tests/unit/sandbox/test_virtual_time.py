"""The virtual-time loop: waits cost nothing, sockets and threads are real, a stall is told."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web

from responder.sandbox.virtual_time import LoopClock, StalledLoopError, VirtualTimeLoop, run_virtual

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_hours_sleep_takes_no_time_and_the_clock_tells_it() -> None:
    async def main() -> timedelta:
        clock = LoopClock(START)
        await clock.sleep(3600)
        return clock.now() - START

    started = time.perf_counter()
    assert run_virtual(main()) == timedelta(hours=1)
    assert time.perf_counter() - started < 1


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[tuple[float, str]]:
        fired: list[tuple[float, str]] = []
        clock = LoopClock(START)

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            fired.append((asyncio.get_running_loop().time(), name))

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("late", 500.0), ("early", 0.5), ("middle", 30.0)):
                group.create_task(sleeper(name, seconds))
        return fired

    assert run_virtual(main()) == [(0.5, "early"), (30.0, "middle"), (500.0, "late")]


def test_http_over_loopback_works_and_its_timeouts_are_virtual() -> None:
    async def main() -> tuple[str, float]:
        clock = LoopClock(START)

        async def quick(_request: web.Request) -> web.Response:
            return web.Response(text="here")

        async def slow(_request: web.Request) -> web.Response:
            await clock.sleep(120)
            return web.Response(text="too late")

        app = web.Application()
        app.add_routes([web.get("/quick", quick), web.get("/slow", slow)])
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
                async with session.get(f"http://{host}:{port}/quick") as response:
                    text = await response.text()
                with pytest.raises(TimeoutError):
                    await session.get(f"http://{host}:{port}/slow")
                return text, asyncio.get_running_loop().time()
        finally:
            await runner.cleanup()

    text, seconds = run_virtual(main())
    assert text == "here"
    assert 30 <= seconds < 31


def test_an_executor_job_is_waited_for_and_not_timed_out() -> None:
    released = threading.Event()

    def job() -> str:
        assert released.wait(5)
        return "done"

    async def main() -> str:
        threading.Timer(0.05, released.set).start()
        async with asyncio.timeout(60):
            return await asyncio.get_running_loop().run_in_executor(None, job)

    assert run_virtual(main()) == "done"


def test_a_timer_the_executor_job_depends_on_still_fires() -> None:
    released = threading.Event()

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, released.set)
        return await loop.run_in_executor(None, released.wait, 5)

    assert run_virtual(main()) is True


def test_names_are_resolved_in_a_thread_while_time_stands_still() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(1):
            await loop.getaddrinfo("localhost", 80)
        return loop.time()

    assert run_virtual(main()) == 0.0


def test_waiting_for_nothing_is_an_error_that_says_so() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with (
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(stall_seconds=0.05)) as runner,
        pytest.raises(StalledLoopError, match="stands still"),
    ):
        runner.run(main())


def test_a_new_loop_starts_at_zero() -> None:
    loop = VirtualTimeLoop()
    try:
        assert loop.time() == 0.0
    finally:
        loop.close()
