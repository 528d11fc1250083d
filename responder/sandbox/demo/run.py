"""Plays the stories one after another and returns how they were judged.

While one story is played the next one's stage is set up, so that nobody waits for it. Called by the command
line and by tests/real.
"""

from __future__ import annotations

import asyncio
import fcntl
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from responder.clock import Clock, SystemClock
from responder.errors import ResponderError
from responder.sandbox.demo.act import Act, open_act
from responder.sandbox.demo.audience import Audience, Lines, Terminal, render_summary
from responder.sandbox.demo.record import Result, conclude, write_record
from responder.sandbox.demo.rules import CHECKOUT
from responder.sandbox.demo.source import AlertSource, find_source
from responder.sandbox.demo.stage import Stage, start_stage
from responder.sandbox.demo.stories import Story, select_stories
from responder.sandbox.demo.view import View, take_view
from responder.tasks import together

FOLDER = CHECKOUT / "build" / "demo"
_INTERRUPTED = 130

Close = Callable[[Stage, tuple[Result, ...]], Awaitable[None]]
"""Takes the results while the last story's stage still stands; that is taken down when this returns."""


def run_demo(names: tuple[str, ...], *, json_path: Path | None, require_real: bool, hold: bool) -> int:
    """Play the stories of these names (none: all) for whoever is at the terminal; returns the exit code.

    0 when every story ended as it should, 1 when one did not, 130 when it was interrupted. `hold` keeps what
    the last story left until Ctrl-C.
    """
    stories = select_stories(names)
    if json_path is not None:
        check_writable(json_path)
    source = find_source(require_real=require_real)
    clock, console = SystemClock(), Console(highlight=False)
    console.print(announce(source), soft_wrap=True)
    waiting = f"Setting the stage: a cluster, {source}, the responder ..."
    audience = Terminal(console, clock, waiting) if console.is_terminal else Lines(console, clock)
    started_at = clock.now()

    async def close(stage: Stage, results: tuple[Result, ...]) -> None:
        console.print(render_summary(results))
        console.print(f"\nLogs: {FOLDER}", soft_wrap=True)
        if json_path is not None:
            write_record(json_path, source, results, started_at=started_at, ended_at=clock.now())
            console.print(f"Record: {json_path}", soft_wrap=True)
        if hold:
            console.print(describe_hold(stage), soft_wrap=True)
            await _interruption()

    try:
        with _only_one(FOLDER):
            results = asyncio.run(
                _interruptible(play_stories(stories, source, FOLDER, clock, audience, close))
            )
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Interrupted; everything that was started is ended.")
        return _INTERRUPTED
    return 0 if all(result.passed for result in results) else 1


def check_writable(path: Path) -> None:
    """Raise ResponderError where no file can be written at that place: before two minutes are spent on it."""
    if not path.parent.is_dir():
        raise ResponderError(
            f"{path} can't be written: there is no folder {path.parent}; create it, or name another file"
        )
    if path.is_dir():
        raise ResponderError(f"{path} can't be written: it is a folder; name a file in it")


def describe_hold(stage: Stage) -> str:
    """Where everything is that is kept, for people."""
    return (
        f"\nWhat {stage.story.name} left is kept until Ctrl-C:\n"
        f"  {stage.kubectl}\n"
        f"  Slack and PagerDuty (the buttons work): {stage.world.inboxes_url}/\n"
        f"  Prometheus: {stage.world.prometheus_url}/"
    )


async def _interruption() -> None:
    """Wait for Ctrl-C, or whatever else asks to end."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, asked.set)
    await asked.wait()


def announce(source: AlertSource) -> str:
    """Where the alerts come from, for people; without the real programs it says what that means."""
    if source.real:
        return f"Alerts come from {source}."
    return (
        "Prometheus and Alertmanager are not here (`make binaries` fetches them), so alerts come from"
        " the sandbox's built-in ones. The responder, the rules and the cluster are the same."
    )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep the folder of logs for this demo alone."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResponderError(
                f"another demo is running, whose logs are in {folder}: wait for it"
            ) from None
        yield


async def _interruptible(playing: Awaitable[tuple[Result, ...]]) -> tuple[Result, ...]:
    """A terminal that is closed, or a `kill`, ends the child processes just as Ctrl-C does."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    for name in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, task.cancel)
    return await playing


async def play_stories(
    stories: Sequence[Story],
    source: AlertSource,
    folder: Path,
    clock: Clock,
    audience: Audience,
    close: Close | None = None,
) -> tuple[Result, ...]:
    """Play them in order, each in a folder of its own below `folder`, which takes all logs.

    `close` is called once nobody watches any more, before the last stage is taken down. Raises ProcessError,
    with the end of its log, when a child process does not start or ends early.
    """
    programme = _Programme(stories, source, folder, clock)
    async with together() as group:
        watching = group.create_task(audience.watch(programme.take_view))

        async def end(stage: Stage) -> None:
            watching.cancel()
            await asyncio.wait([watching])
            if close is not None:
                await close(stage, tuple(programme.results))

        async with together() as acts:
            for index in range(len(stories)):
                acts.create_task(programme.perform(index, end))
    return tuple(programme.results)


class _Programme:
    """The stories in order: which one is set up, which one is played."""

    def __init__(self, stories: Sequence[Story], source: AlertSource, folder: Path, clock: Clock) -> None:
        self._stories = stories
        self._source = source
        self._folder = folder
        self._clock = clock
        # One more than there are stories: the last one has a successor to call as well.
        self._set_up = [asyncio.Event() for _ in range(len(stories) + 1)]
        self._turn = [asyncio.Event() for _ in range(len(stories) + 1)]
        self._set_up[0].set()
        self._turn[0].set()
        self._shown: tuple[Act, int] | None = None
        self.results: list[Result] = []

    def take_view(self) -> View | None:
        """What is to be seen now."""
        if self._shown is None:
            return None
        act, index = self._shown
        return take_view(act, index + 1, len(self._stories))

    async def perform(self, index: int, end: Callable[[Stage], Awaitable[None]]) -> None:
        """Set the stage when it is time for that, play when it is this story's turn, judge, call the next.

        The last one calls `end`.
        """
        await self._set_up[index].wait()
        story = self._stories[index]
        async with (
            start_stage(story, self._source, self._folder / story.name, self._clock) as stage,
            open_act(stage, self._clock) as act,
        ):
            if index == 0:
                self._shown = act, index
            await act.warm_up()
            await self._turn[index].wait()
            self._shown = act, index
            self._set_up[index + 1].set()
            await act.play()
            self.results.append(conclude(act))
            self._turn[index + 1].set()
            if index == len(self._stories) - 1:
                await end(stage)
