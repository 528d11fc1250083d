"""Two responders as two processes, with the Lease's default times: how soon the other one acts.

By the API server's own log alone: who wrote what, as its User-Agent says, and when.
"""

from __future__ import annotations

import os
import signal
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from responder.clock import Clock
from responder.sandbox.api.request_log import RequestLog, RequestRecord
from responder.sandbox.bench.api import Api, open_api
from responder.sandbox.bench.figures import Figure
from responder.sandbox.bench.ground import define
from responder.sandbox.bench.prometheus import FixedPrometheus, fixed_prometheus
from responder.sandbox.bench.responder import RunningResponder, running_responder
from responder.sandbox.bench.workloads import Workload, create, release_bad, remembered, until, write_rules
from responder.sandbox.cluster import Cluster

_LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/responder"
_BAD_FOR_SECONDS = 3.0
# After the undo, for a second one or a second actor.
_QUIET_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Seconds until the other's first act and its undo, who acted in turn, and how many undos there were."""

    seconds: float
    undo_seconds: float
    actors: tuple[str, ...]
    undos: int


async def measure_takeovers(folder: Path, clock: Clock, runs: int) -> list[Figure]:
    """Several take-overs of each kind, each in a cluster of its own."""
    killed = [await take_over(folder / f"killed-{number}", clock, signal.SIGKILL) for number in range(runs)]
    stopped = [await take_over(folder / f"stopped-{number}", clock, signal.SIGTERM) for number in range(runs)]
    every = [*killed, *stopped]
    return [
        *_figures("SIGKILL", killed, 25),
        *_figures("SIGTERM", stopped, 2),
        Figure(
            f"take-overs with more than one change of hands, of {len(every)}",
            sum(each.actors != ("first", "second") for each in every),
            "runs",
            0,
            inclusive=True,
        ),
        Figure(
            f"take-overs with another number of undos than one, of {len(every)}",
            sum(each.undos != 1 for each in every),
            "runs",
            0,
            inclusive=True,
        ),
    ]


async def take_over(folder: Path, clock: Clock, how: signal.Signals) -> TakeOver:
    """End the leader as an alert comes in that only its successor hears of; that one rolls back.

    Raises BenchError when nobody does.
    """
    workload = Workload("bench-takeover")
    rules = write_rules([workload], folder / "rules")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(Cluster.start(clock=clock))
        prometheus = await stack.enter_async_context(fixed_prometheus())
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(cluster.kubeconfig()), encoding="utf-8")
        api = await stack.enter_async_context(open_api(kubeconfig))
        await define(api, clock)
        await create(api, [workload], clock)

        async def start(identity: str) -> RunningResponder:
            settings = {"RESPONDER_IDENTITY": identity}
            return await stack.enter_async_context(
                running_responder(kubeconfig, rules, prometheus.url, folder, clock, settings)
            )

        first = await start("first")
        await until(lambda: _leads(api, "first"), "the first replica's Lease", clock)
        second = await start("second")
        await _turn_bad(api, prometheus, workload, clock)
        ended_at = clock.now()
        os.kill(first.pid, how)
        await second.deliver(api.session, workload.delivery(ended_at))
        await until(lambda: _undone(cluster.log), "the undo after a take-over", clock)
        await clock.sleep(_QUIET_SECONDS)
        return _read(cluster.log, ended_at)


async def _turn_bad(api: Api, prometheus: FixedPrometheus, workload: Workload, clock: Clock) -> None:
    await remembered(api, [workload], 1, clock)
    await release_bad(api, [workload], clock)
    await remembered(api, [workload], 2, clock)
    prometheus.bad[workload.namespace] = (clock.now().timestamp(), float("inf"))
    await clock.sleep(_BAD_FOR_SECONDS)


async def _leads(api: Api, identity: str) -> bool:
    if not await api.exists(_LEASE):
        return False
    lease = await api.request("GET", _LEASE)
    return str((lease.get("spec") or {}).get("holderIdentity")).startswith(f"{identity}_")


async def _undone(log: RequestLog) -> bool:
    return bool(_undos(log))


def _read(log: RequestLog, ended_at: datetime) -> TakeOver:
    """What the server's log says of the take-over."""
    acts = [(_who(write), write.at) for write in log.writes() if _acts(write)]
    acted_at = next(at for who, at in acts if who == "second")
    undos = _undos(log)
    names = [who for who, _ in acts]
    actors = tuple(name for number, name in enumerate(names) if names[number - 1 : number] != [name])
    return TakeOver(
        seconds=(acted_at - ended_at).total_seconds(),
        undo_seconds=(undos[0].at - ended_at).total_seconds(),
        actors=actors,
        undos=len(undos),
    )


def _acts(write: RequestRecord) -> bool:
    """Whether only a leader may write this; incidents and records are made by whoever takes alerts in."""
    if not _who(write):
        return False
    ledger = write.method == "PATCH" and "/workloadrecords/" in write.path
    return ledger or "/deployments/" in write.path or write.path.endswith("/status")


def _undos(log: RequestLog) -> list[RequestRecord]:
    return [write for write in log.writes("/deployments/") if _who(write)]


def _who(write: RequestRecord) -> str:
    """The replica that wrote it, "" for somebody else."""
    program, _, identity = write.user_agent.partition(" ")
    return identity if program.startswith("responder/") else ""


def _figures(how: str, found: Sequence[TakeOver], goal: float) -> list[Figure]:
    seconds = [each.seconds for each in found]
    undos = [each.undo_seconds for each in found]
    name = f"from {how} of the leader to the other's first write"
    return [
        Figure(f"{name}, median of {len(found)}", statistics.median(seconds), "s"),
        Figure(f"{name}, slowest of {len(found)}", max(seconds), "s", goal),
        Figure(
            f"from {how} of the leader to the undo for an alert that came then, slowest of {len(found)}",
            max(undos),
            "s",
        ),
    ]
