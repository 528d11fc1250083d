"""From alert to undo: the responder, its bare requests, kubectl, and a webhook that runs kubectl, in turns.

Each turn is about a fresh workload, and every contestant has the same stopwatch and the same server.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp

from responder.sandbox.bench.figures import Figure, median_and_p95
from responder.sandbox.bench.ground import Ground
from responder.sandbox.bench.kubectl import post_to_webhook
from responder.sandbox.bench.recording import Exchange, recording
from responder.sandbox.bench.replay import Replay, critical_path, sequential_round_trips
from responder.sandbox.bench.responder import RunningResponder, running_responder
from responder.sandbox.bench.undone import UndoneWatch
from responder.sandbox.bench.workloads import (
    Workload,
    complete,
    create,
    release_bad,
    remembered,
    until,
    write_rules,
)
from responder.tasks import alongside

_INCIDENTS = "/apis/responder.dev/v1alpha1/namespaces/{}/incidents"
# The metric has to be bad for longer than a step of the series that an onset is looked for in.
_BAD_FOR_SECONDS = 3.0
# After a turn, so that what follows it (ledgers, cleaning up) does not fall into the next one.
_QUIET_SECONDS = 1.0


@dataclass(slots=True)
class Times:
    """Seconds from the start of each turn to the undo, by contestant; `cpu` is the responder's own."""

    responder: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    kubectl: list[float] = field(default_factory=list)
    webhook: list[float] = field(default_factory=list)


async def run_race(ground: Ground, turns: int, kubectl_turns: int) -> list[Figure]:
    """Every figure of the race."""
    times, undone = Times(), UndoneWatch(ground.api)
    async with alongside(undone.run()):
        recorded, namespace = await _record(ground, undone)
        race = _Race(ground, undone, times, recorded, namespace)
        await race.run(turns, kubectl_turns)
    return [*_own_figures(times), *_path_figures(recorded), *_kubectl_figures(times)]


async def _record(ground: Ground, undone: UndoneWatch) -> tuple[tuple[Exchange, ...], str]:
    """One incident through the recording proxy: its requests, and the namespace they speak of."""
    workload = Workload(f"{ground.prefix}-recorded")
    async with recording(ground.api, ground.folder, ground.clock) as (recorder, kubeconfig):
        rules = write_rules([workload], ground.folder / "rules-recorded")
        await create(ground.api, [workload], ground.clock)
        async with running_responder(
            kubeconfig, rules, ground.prometheus.url, ground.folder, ground.clock
        ) as responder:
            await _make_bad(ground, [workload])
            since, over = asyncio.get_running_loop().time(), undone.expect(workload)
            await responder.deliver(ground.api.session, workload.delivery(ground.clock.now()))
            await undone.within(over)
            await _over(ground, workload)
        return critical_path(recorder.exchanges, since), workload.namespace


async def _make_bad(ground: Ground, workloads: Sequence[Workload]) -> None:
    """Let a running responder see the first version serve, then the second, and the metric turn bad."""
    await remembered(ground.api, workloads, 1, ground.clock)
    await release_bad(ground.api, workloads, ground.clock)
    await remembered(ground.api, workloads, 2, ground.clock)
    since = ground.clock.now().timestamp()
    ground.prometheus.bad |= {each.namespace: (since, float("inf")) for each in workloads}
    await ground.clock.sleep(_BAD_FOR_SECONDS)


async def _over(ground: Ground, workload: Workload) -> None:
    """Let the metric be good again and wait until the incident is over, so that turns don't overlap."""
    since, _ = ground.prometheus.bad[workload.namespace]
    ground.prometheus.bad[workload.namespace] = (since, ground.clock.now().timestamp())

    async def over() -> bool:
        found = await ground.api.items(_INCIDENTS.format(workload.namespace))
        return any((each.get("status") or {}).get("phase") == "Closed" for each in found)

    await until(over, f"the end of {workload.namespace}'s incident", ground.clock)


class _Race:
    """The turns of one race."""

    def __init__(
        self,
        ground: Ground,
        undone: UndoneWatch,
        times: Times,
        recorded: tuple[Exchange, ...],
        namespace: str,
    ) -> None:
        self._ground = ground
        self._undone = undone
        self._times = times
        self._recorded = recorded
        self._namespace = namespace

    async def run(self, turns: int, kubectl_turns: int) -> None:
        """One turn of each contestant after another, after one that does not count."""
        ground = self._ground
        ours, bare = self._workloads("ours", turns + 1), self._workloads("bare", turns + 1)
        rivals = 0 if ground.kubectl is None else kubectl_turns + 1
        typed, hooked = self._workloads("typed", rivals), self._workloads("hooked", rivals)
        await create(ground.api, [*ours, *bare, *typed, *hooked], ground.clock)
        rules = write_rules([*ours, *bare], ground.folder / "rules")
        async with AsyncExitStack() as stack:
            responder = await stack.enter_async_context(
                running_responder(
                    ground.kubeconfig, rules, ground.prometheus.url, ground.folder, ground.clock
                )
            )
            session = await stack.enter_async_context(aiohttp.ClientSession())
            await _make_bad(ground, [*ours, *bare])
            if ground.kubectl is not None:
                await release_bad(ground.api, [*typed, *hooked], ground.clock)
                url = await stack.enter_async_context(ground.kubectl.webhook(ground.folder, ground.clock))
            for number in range(turns + 1):
                self._times.responder.append(await self._ours(responder, session, ours[number]))
                self._times.bare.append(await self._bare(bare[number]))
                if number < rivals and ground.kubectl is not None:
                    kubectl, workload = ground.kubectl, hooked[number]
                    self._times.kubectl.append(await self._timed(typed[number], kubectl.undo))
                    self._times.webhook.append(
                        await self._timed(workload, lambda one: post_to_webhook(session, url, one))
                    )
        for series in (self._times.responder, self._times.cpu, self._times.bare):
            del series[:1]
        del self._times.kubectl[:1], self._times.webhook[:1]

    def _workloads(self, kind: str, count: int) -> list[Workload]:
        return [Workload(f"{self._ground.prefix}-{kind}-{number:03}") for number in range(count)]

    async def _ours(
        self, responder: RunningResponder, session: aiohttp.ClientSession, workload: Workload
    ) -> float:
        delivery = workload.delivery(self._ground.clock.now())
        before, undone = responder.cpu_seconds(), self._undone.expect(workload)
        started = asyncio.get_running_loop().time()
        await responder.deliver(session, delivery)
        seconds = await self._undone.within(undone) - started
        self._times.cpu.append(responder.cpu_seconds() - before)
        await _over(self._ground, workload)
        await self._ground.clock.sleep(_QUIET_SECONDS)
        return seconds

    async def _bare(self, workload: Workload) -> float:
        replay = Replay(self._ground.api, self._recorded, self._namespace, workload.namespace)
        await replay.rehearse()
        return await self._timed(workload, lambda _: replay.run())

    async def _timed(self, workload: Workload, work: Callable[[Workload], Awaitable[None]]) -> float:
        """Seconds until the undo; returns when its rollout is over, and everybody quiet again."""
        undone = self._undone.expect(workload)
        started = asyncio.get_running_loop().time()
        await work(workload)
        seconds = await self._undone.within(undone) - started
        await complete(self._ground.api, [workload], self._ground.clock)
        await self._ground.clock.sleep(_QUIET_SECONDS)
        return seconds


def _own_figures(times: Times) -> list[Figure]:
    ratio = statistics.median(times.responder) / statistics.median(times.bare)
    return [
        *median_and_p95(
            "webhook to undo, without storm_wait, with a Prometheus that answers at once", times.responder
        ),
        *median_and_p95("the same API requests, bare", times.bare),
        Figure("webhook to undo / bare requests, medians", ratio, "ratio", 1.5, inclusive=True),
        Figure("own CPU per alert, until its undo, median", statistics.median(times.cpu) * 1000, "ms"),
    ]


def _path_figures(recorded: tuple[Exchange, ...]) -> list[Figure]:
    trips = sequential_round_trips(recorded)
    return [
        Figure("API requests from webhook to undo", len(recorded), "requests"),
        Figure("sequential round trips from webhook to undo", trips, "trips", 5, inclusive=True),
    ]


def _kubectl_figures(times: Times) -> list[Figure]:
    if not times.kubectl:
        return []
    ours = statistics.median(times.responder)
    return [
        *median_and_p95("a kubectl rollout undo process", times.kubectl),
        Figure("webhook to undo / kubectl process", ours / statistics.median(times.kubectl), "ratio", 1),
        *median_and_p95("a webhook that runs kubectl rollout undo", times.webhook),
        Figure(
            "webhook to undo / webhook that runs kubectl", ours / statistics.median(times.webhook), "ratio", 1
        ),
    ]
