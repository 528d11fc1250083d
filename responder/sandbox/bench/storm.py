"""A storm: a thousand workloads, all of whose pods alert within a minute, told by two Alertmanagers, twice.

A group is one workload's, as the reference configuration groups: as many incidents as a responder opens at
most. No controllers run, Prometheus answers at once, and the brake on storms is as delivered: people are
asked, and some of them answer.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from responder.clock import Clock
from responder.sandbox.api.objects import Object
from responder.sandbox.bench.api import Api, BenchError, open_api
from responder.sandbox.bench.figures import Figure
from responder.sandbox.bench.ground import define
from responder.sandbox.bench.prometheus import FixedPrometheus, fixed_prometheus
from responder.sandbox.bench.responder import RunningResponder, running_responder
from responder.sandbox.bench.senders import SendingPlan, Sent, send_in_a_process
from responder.sandbox.bench.server import sandbox_process
from responder.sandbox.bench.still import (
    ALERTS_A_GROUP,
    StillWorkload,
    create_still,
    each_of,
    release_still,
    still_workloads,
    write_still_rules,
)
from responder.sandbox.bench.workloads import remembered, until, version_of

_OVER_SECONDS = 60.0
_ANSWERS = 20
_BAD_FOR_SECONDS = 3.0
# After the last answer's undo, for one that comes twice.
_QUIET_SECONDS = 5.0
_WITHIN_SECONDS = 600.0
# A look at all that there is keeps the API server busy for a while.
_LOOK_SECONDS = 3.0
_API = "/apis/responder.dev/v1alpha1"
# As an operator has them who sets nothing.
_SETTINGS = {"RESPONDER_STORM_WAIT": "10s", "RESPONDER_STORM_WORKLOADS": "3"}


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a storm comes over."""

    api: Api
    clock: Clock
    prometheus: FixedPrometheus
    responder: RunningResponder
    workloads: Sequence[StillWorkload]
    log: Path


async def measure_storm(
    folder: Path, clock: Clock, groups: int, *, over_seconds: float = _OVER_SECONDS
) -> list[Figure]:
    """Let it come, count what is there afterwards, and answer some of the questions."""
    workloads = still_workloads("storm", groups)
    rules = write_still_rules(workloads, folder / "rules")
    async with AsyncExitStack() as stack:
        kubeconfig = await stack.enter_async_context(sandbox_process(folder, clock, still=True))
        api = await stack.enter_async_context(open_api(kubeconfig))
        await define(api, clock)
        await create_still(api, workloads)
        prometheus = await stack.enter_async_context(fixed_prometheus())
        responder = await stack.enter_async_context(
            running_responder(kubeconfig, rules, prometheus.url, folder, clock, _SETTINGS)
        )
        scene = _Scene(api, clock, prometheus, responder, workloads, folder / "responder.log")
        return await _measure(scene, folder, over_seconds)


async def _measure(scene: _Scene, folder: Path, over_seconds: float) -> list[Figure]:
    loop = asyncio.get_running_loop()
    await _turn_bad(scene)
    before = await _generations(scene)
    began = loop.time()
    webhook = scene.responder.webhook
    deliveries = [workload.delivery(scene.clock.now()) for workload in scene.workloads]
    sent = await send_in_a_process(SendingPlan(webhook.url, webhook.token, over_seconds, deliveries), folder)
    incidents = await scene.api.items(f"{_API}/incidents")
    lost = _count_lost(scene.workloads, incidents)
    await until(
        lambda: _all_asked(scene),
        "the questions of a storm",
        scene.clock,
        every_seconds=_LOOK_SECONDS,
        within_seconds=_WITHIN_SECONDS,
    )
    asked_seconds = loop.time() - began
    answered = await _answer(scene, before)
    await scene.clock.sleep(_QUIET_SECONDS)
    after = await _generations(scene)
    undos = sum(after[path] - before[path] for path in before)
    incidents = await scene.api.items(f"{_API}/incidents")
    name = f"storm of {len(scene.workloads)} groups of {ALERTS_A_GROUP} alerts"
    return [
        *_sending_figures(name, sent),
        Figure(f"{name}: firing alerts on no incident", lost, "alerts", 0, inclusive=True),
        Figure(
            f"{name}: incidents beyond one for each workload",
            len(incidents) - len(scene.workloads),
            "incidents",
            0,
            inclusive=True,
        ),
        Figure(
            f"{name}: undos beyond one for each answer", undos - len(answered), "undos", 0, inclusive=True
        ),
        Figure(f"{name}: until everybody was asked, from its start", asked_seconds, "s"),
        Figure(
            f"{name}: from a person's answer to the undo, median of {len(answered)}",
            statistics.median(answered),
            "s",
        ),
        Figure(f"{name}: most resident memory", scene.responder.most_resident_megabytes(), "MB", 250),
    ]


async def _turn_bad(scene: _Scene) -> None:
    """Let the responder see the first version serve, then the second, and every metric turn bad."""
    await _remembered(scene, 1)
    await release_still(scene.api, scene.workloads)
    await _remembered(scene, 2)
    since = scene.clock.now().timestamp()
    scene.prometheus.bad |= {each.namespace: (since, float("inf")) for each in scene.workloads}
    await scene.clock.sleep(_BAD_FOR_SECONDS)


async def _remembered(scene: _Scene, revisions: int) -> None:
    await remembered(
        scene.api,
        scene.workloads,
        revisions,
        scene.clock,
        every_seconds=_LOOK_SECONDS,
        within_seconds=_WITHIN_SECONDS,
    )


def _count_lost(workloads: Sequence[StillWorkload], incidents: Sequence[Object]) -> int:
    """The firing alerts that no incident of their workload has."""
    written: dict[tuple[str, str], set[str]] = {}
    for incident in incidents:
        spec = incident["spec"]
        place = incident["metadata"]["namespace"], spec["workload"]["name"]
        written.setdefault(place, set()).update(spec.get("alerts") or {})
    return sum(
        len(workload.fingerprints() - written.get((workload.namespace, workload.name), set()))
        for workload in workloads
    )


async def _all_asked(scene: _Scene) -> bool:
    incidents = await scene.api.items(f"{_API}/incidents")
    return all((each.get("status") or {}).get("ask") for each in incidents)


async def _generations(scene: _Scene) -> dict[str, int]:
    """How often each workload was changed, by its path."""
    found = await scene.api.items("/apis/apps/v1/deployments")
    generations = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): int(each["metadata"]["generation"])
        for each in found
    }
    return {each.path: generations[each.namespace, each.name] for each in scene.workloads}


async def _answer(scene: _Scene, before: dict[str, int]) -> list[float]:
    """Answer some questions as people do; the seconds from each answer to its undo."""
    loop = asyncio.get_running_loop()
    seconds: list[float] = []

    async def one(workload: StillWorkload) -> None:
        found = await scene.api.items(f"{_API}/namespaces/{workload.namespace}/incidents")
        incident = next((each for each in found if each["spec"]["workload"]["name"] == workload.name), None)
        if incident is None:
            raise BenchError(f"bench: {workload.name} has no incident: its alerts are lost, see {scene.log}")
        began = loop.time()
        await scene.api.request(
            "POST", f"{_API}/namespaces/{workload.namespace}/decisions", _decision(incident, scene.clock)
        )

        async def undone() -> bool:
            return version_of(await scene.api.request("GET", workload.path)) == "v1"

        await until(undone, f"the undo that was decided for {workload.name}", scene.clock)
        seconds.append(loop.time() - began)

    step = max(1, len(scene.workloads) // _ANSWERS)
    await each_of(scene.workloads[::step][:_ANSWERS], one)
    return seconds


def _decision(incident: Object, clock: Clock) -> Object:
    name, digest = incident["metadata"]["name"], incident["status"]["ask"]["digest"]
    return {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "Decision",
        "metadata": {"name": f"{name}-{digest}"},
        "spec": {
            "incident": name,
            "incidentUid": incident["metadata"]["uid"],
            "digest": digest,
            "choice": "rollback",
            "by": "bench",
            "at": clock.now().isoformat(),
        },
    }


def _sending_figures(name: str, sent: Sent) -> list[Figure]:
    p99 = statistics.quantiles(sent.seconds, n=100, method="inclusive")[-1]
    unanswered = sent.given_up + len(sent.refused)
    return [
        Figure(f"{name}: acknowledgement, p99 of {len(sent.seconds)}", p99, "s", 1),
        Figure(f"{name}: acknowledgement, the slowest", max(sent.seconds), "s"),
        Figure(f"{name}: answered 503 and sent again", sent.tried_again, "deliveries"),
        Figure(f"{name}: deliveries never taken", unanswered, "deliveries", 0, inclusive=True),
    ]
