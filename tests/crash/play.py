"""One run, in a process of its own: a story, the point of the kill, and the way to go on after it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import aiohttp

from responder.clock import Clock
from responder.sandbox.demo.stage import reserve_port
from responder.tasks import alongside
from tests.crash.outcome import Outcome, find_unfinished, read_outcome
from tests.crash.points import KillGate, Point
from tests.crash.replicas import Replica, Service, serving
from tests.crash.stage import LEASE, POLL_SECONDS, Scene, open_scene, variables
from tests.crash.stories import STORIES

_READY = timedelta(seconds=30)
_FINISHED = timedelta(seconds=30)
# How long nothing may come after the end: a second page or message would come at once.
_QUIET = timedelta(seconds=1)
_LOG_TAIL_CHARACTERS = 4_000
# What a request for the Lease may take.
_STALL_SECONDS = LEASE.total_seconds() * 2 / 9


@dataclass(slots=True)
class _Lag:
    """How much later than it should the loop goes on at worst."""

    worst_seconds: float = 0.0

    async def measure(self, clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + POLL_SECONDS
            await clock.sleep(POLL_SECONDS)
            self.worst_seconds = max(self.worst_seconds, loop.time() - due)


class Mode(StrEnum):
    """What happens after the kill."""

    RESTART = "restart"
    """The one replica is started again at once."""
    TAKE_OVER = "take-over"
    """The other replica, which has run since the beginning, takes over."""


@dataclass(frozen=True, slots=True)
class Run:
    """What to play; without a point nobody is killed."""

    story: str
    mode: Mode
    point: Point | None
    folder: Path


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a run. `problem` tells why it has no outcome, with the end of the logs.

    `stalled_seconds` is the longest that the machine kept the world waiting.
    """

    outcome: Outcome | None
    steps: tuple[str, ...]
    killed: bool
    seconds: float
    stalled_seconds: float
    problem: str = ""

    @property
    def tells(self) -> bool:
        """False where the machine stood still for too long: a Lease runs out meanwhile, and people wait."""
        return self.stalled_seconds < _STALL_SECONDS


def play(run: Run) -> Played:
    """Play a run to its end; called in a process of the pool."""
    run.folder.mkdir(parents=True)
    played = asyncio.run(_play(run))
    if not played.problem:
        shutil.rmtree(run.folder)
    return played


async def _play(run: Run) -> Played:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with (
        serving() as (service, port),
        open_scene(run.folder, port, dict(STORIES[run.story].rules)) as here,
    ):
        with _replicas(run, here, service) as replicas:
            gate = KillGate(here.world.cluster.store, here.world.clock, replicas[0].kill, run.point)
            outcome, problem, lag = None, "", _Lag()
            try:
                async with alongside(lag.measure(here.world.clock)):
                    await _tell(run, here, gate, replicas)
                outcome = read_outcome(here)
            except Exception as error:  # noqa: BLE001 - reported with what the replicas said
                problem = f"{type(error).__name__}: {error}\n{_logs(replicas)}"
        seconds = loop.time() - began
        return Played(outcome, tuple(gate.steps), gate.killed, seconds, lag.worst_seconds, problem)


async def _tell(run: Run, here: Scene, gate: KillGate, replicas: list[Replica]) -> None:
    """The story from the first replica's start until nothing more is to come."""
    here.world.cluster.put_gate(gate)
    here.world.inboxes.gate = gate
    async with alongside(_revive(run, here, gate, replicas[0])):
        # The first one leads: every step before the kill is its own.
        replicas[0].start()
        await here.until(
            lambda: gate.killed or "leading" in _said(replicas[0]), _READY, "the first one leads"
        )
        for replica in replicas[1:]:
            replica.start()
        await _ready(here)
        await STORIES[run.story].play(here)
        await _finish(here)
        await here.rest(_QUIET)


async def _revive(run: Run, here: Scene, gate: KillGate, replica: Replica) -> None:
    """In mode restart, start the replica again at once after the kill."""
    while run.mode is Mode.RESTART and not gate.killed:
        await here.world.clock.sleep(POLL_SECONDS)
    if run.mode is Mode.RESTART:
        replica.start()
    await asyncio.Event().wait()


async def _ready(here: Scene) -> None:
    """Wait until whoever takes connections says that it is ready."""
    deadline = here.world.clock.now() + _READY
    async with aiohttp.ClientSession() as session:
        while here.world.clock.now() < deadline:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{here.world.responder_url}/readyz") as answer:
                    if answer.status == 200:
                        return
            await here.world.clock.sleep(POLL_SECONDS)
    raise AssertionError(f"not ready within {_READY}")


async def _finish(here: Scene) -> None:
    """Wait until nothing is left to be done. Raises AssertionError with what is."""
    deadline = here.world.clock.now() + _FINISHED
    while unfinished := list(find_unfinished(here)):
        if here.world.clock.now() >= deadline:
            raise AssertionError(f"unfinished: {'; '.join(unfinished)}")
        await here.rest(timedelta(milliseconds=50))


@contextmanager
def _replicas(run: Run, here: Scene, service: Service) -> Iterator[list[Replica]]:
    """As many replicas as the mode has, not started yet; all dead when the context ends."""
    names = ["a"] if run.mode is Mode.RESTART else ["a", "b"]
    with ExitStack() as stack:
        for name in names:
            port = stack.enter_context(reserve_port())
            replica = Replica(name, port, variables(here), run.folder / f"{name}.log")
            stack.callback(replica.kill)
            service.replicas.append(replica)
        yield service.replicas


def _said(replica: Replica) -> str:
    return replica.log.read_text(encoding="utf-8", errors="replace") if replica.log.exists() else ""


def _logs(replicas: list[Replica]) -> str:
    return "\n".join(f"{replica.name}: {_said(replica)[-_LOG_TAIL_CHARACTERS:]}" for replica in replicas)
