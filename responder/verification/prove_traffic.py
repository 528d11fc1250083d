"""The traffic proof: watches wake it, a fresh full read proves, and the claim has to hold for a window.

Waits and reads, writes nothing; what a read means is for traffic.py. Called by the pipeline after an undo.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, assert_never, cast

from responder.clients.kubernetes import ApiError, Changed, Gap, Kubernetes, Listed, paths
from responder.clock import Clock
from responder.tasks import together
from responder.verdicts import Result, Verdict, overall
from responder.verification.claim import Claim
from responder.verification.hold import hold_window, note_probes
from responder.verification.signature import Kind, Signature, sign
from responder.verification.snapshot import Snapshot, gather_snapshot
from responder.verification.statefulset import find_blocking_pod, not_ready_since
from responder.verification.traffic import INCONCLUSIVE, OVERTAKEN, SUPERSEDED, assess_traffic
from responder.verification.window import Window
from responder.workloads.key import WorkloadKey

POD_STUCK = "PodStuck"

Report = Callable[[tuple[Verdict, ...]], None]

# Events come in bursts; a look is six requests, so bursts share one.
_LEAST_PAUSE_SECONDS = 0.15
# Looks go on without events too, as a watch can be silent for longer than it should.
_LONGEST_PAUSE_SECONDS = 5.0
# A pod that only starts slowly becomes ready within this, mostly, and is then replaced like any other.
_STUCK_AFTER = timedelta(minutes=1)
# One cause shows in many checks; the first few tell a person enough.
_SHOWN_MESSAGES = 3


@dataclass(frozen=True, slots=True)
class StuckPod:
    """The pod that an ordered rollout waits for in vain."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class TrafficProof:
    """What came of it. The claim held for `hold_seconds`, from `serving_since` to `proven_at`."""

    result: Result
    reason: str
    message: str
    verdicts: tuple[Verdict, ...]
    proven_at: datetime | None = None
    serving_since: datetime | None = None
    hold_seconds: float = 0.0
    stuck: StuckPod | None = None


async def prove_traffic(
    kubernetes: Kubernetes,
    clock: Clock,
    claim: Claim,
    *,
    deadline_at: datetime,
    hold: timedelta | None,
    report: Report | None = None,
) -> TrafficProof:
    """Wait until the claim has held for the window `hold` (None: derived from the readiness probes).

    Passed/TrafficProven; Failed/TrafficNotProven at the deadline; Failed/Superseded or Failed/RevertedBy...
    at once when somebody else changed or deleted the workload; Failed/PodStuck once a pod has held an ordered
    rollout up for a minute; Unknown/TrafficUnknown when at the deadline nobody can tell.
    `report` gets the verdicts of each look that differ from those of the look before.
    """
    prover = _Prover(kubernetes, clock, claim, hold, report)
    try:
        async with asyncio.timeout((deadline_at - clock.now()).total_seconds()) as limit:
            return await prover.prove()
    except TimeoutError:
        if not limit.expired():
            raise
        return prover.conclude()


class _Prover:
    """The state of one proof."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        clock: Clock,
        claim: Claim,
        hold: timedelta | None,
        report: Report | None,
    ) -> None:
        self._kubernetes = kubernetes
        self._clock = clock
        self._claim = claim
        self._hold = hold
        self._report = report
        self._wake = asyncio.Event()
        self._listed: set[Kind] = set()
        self._signature: Signature | None = None  # of the last look
        self._loop = asyncio.get_running_loop()
        self._window = Window()
        self._disturbed = False  # since the last look began
        self._verdicts: tuple[Verdict, ...] = ()
        self._error: ApiError | None = None

    async def prove(self) -> TrafficProof:
        """Look whenever something moved, until there is an end; the caller limits the time."""
        async with together() as group:
            watchers = [group.create_task(self._watch(kind)) for kind in _COLLECTIONS]
            try:
                while True:
                    proof = await self._look()
                    if proof is not None:
                        return proof
                    await self._pause()
            finally:
                for watcher in watchers:
                    watcher.cancel()

    def conclude(self) -> TrafficProof:
        """The result when time is up: from the last look."""
        if self._error is not None:
            return self._end(Result.UNKNOWN, "TrafficUnknown", str(self._error))
        if not self._verdicts:
            message = "The deadline came before the first look at the cluster was over."
            return self._end(Result.UNKNOWN, "TrafficUnknown", message)
        result = overall(self._verdicts)
        if result is Result.PASSED:
            return self._end(Result.FAILED, "TrafficNotProven", self._window.describe(self._loop.time()))
        reason = "TrafficNotProven" if result is Result.FAILED else "TrafficUnknown"
        return self._end(result, reason, _describe_open(self._verdicts))

    async def _look(self) -> TrafficProof | None:
        """Read everything afresh and judge it; the proof when that settles the matter."""
        self._wake.clear()
        self._disturbed = False
        watched = len(self._listed) == len(_COLLECTIONS)
        began = self._loop.time()
        try:
            snapshot = await gather_snapshot(self._kubernetes, self._claim.key)
        except ApiError as error:
            self._error = error
            self._window.restart(str(error))
            return None
        self._error = None
        if snapshot is None:
            return self._end(Result.FAILED, SUPERSEDED, f"The {self._claim.key} is gone.")
        signature = self._signature = sign(snapshot, self._claim)
        length = self._judge(snapshot)
        superseded = next((verdict for verdict in self._verdicts if verdict.reason in OVERTAKEN), None)
        if superseded is not None:
            return self._end(Result.FAILED, superseded.reason, superseded.message)
        stuck = self._find_stuck(snapshot)
        if stuck is not None:
            return stuck
        lacking = {verdict.check for verdict in self._verdicts if not verdict.passed}
        if lacking - INCONCLUSIVE:
            self._window.restart(_describe_open(self._verdicts))
        if lacking:
            return None
        # What changed during the look may have changed after it was read: such a look opens no window.
        if self._disturbed or not watched:
            return None
        if not self._window.holds(signature, length, began=began, now=self._loop.time()):
            return None
        return self._end(Result.PASSED, "TrafficProven", "The target revision serves all traffic")

    def _find_stuck(self, snapshot: Snapshot) -> TrafficProof | None:
        """The end of a proof that can't come to a good one before somebody deletes a pod."""
        pod, now = find_blocking_pod(snapshot, self._claim), self._clock.now()
        if pod is None or now - not_ready_since(pod) < _STUCK_AFTER:
            return None
        message = (
            f"Pod {pod.name} of another revision is not ready, and an ordered StatefulSet replaces no pod"
            f" while one is not ready: `kubectl -n {pod.namespace} delete pod {pod.name}` lets it go on."
        )
        stuck = StuckPod(pod.name, pod.uid)
        return TrafficProof(Result.FAILED, POD_STUCK, message, self._verdicts, stuck=stuck)

    def _judge(self, snapshot: Snapshot) -> timedelta:
        """Judge and report a look; the length of the hold window that follows from it."""
        min_ready_seconds = int(snapshot.workload.spec.get("minReadySeconds") or 0)
        hold = hold_window(self._claim.template, min_ready_seconds, self._hold)
        verdicts = (*assess_traffic(snapshot, self._claim), note_probes(hold))
        if self._report is not None and verdicts != self._verdicts:
            self._report(verdicts)
        self._verdicts = verdicts
        return hold.duration

    def _end(self, result: Result, reason: str, message: str) -> TrafficProof:
        since = self._window.since
        if result is not Result.PASSED or since is None:
            return TrafficProof(result, reason, message, self._verdicts)
        held_seconds, now = self._loop.time() - since, self._clock.now()
        message += f", and did so for {held_seconds:.0f} s without a change."
        serving_since = now - timedelta(seconds=held_seconds)
        return TrafficProof(result, reason, message, self._verdicts, now, serving_since, held_seconds)

    async def _pause(self) -> None:
        """Until something moves, the window is over or it is time to look anyway."""
        await self._clock.sleep(_LEAST_PAUSE_SECONDS)
        pause_seconds = _LONGEST_PAUSE_SECONDS
        if self._window.end is not None:
            pause_seconds = min(pause_seconds, self._window.end - self._loop.time())
        try:
            async with asyncio.timeout(max(0.0, pause_seconds)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _watch(self, kind: Kind) -> None:
        """Wake the proof, and end its window, when something of this kind changes that bears on it."""
        path = _COLLECTIONS[kind](self._claim.key)
        name = f"metadata.name={self._claim.key.name}" if kind == "Workload" else ""
        observations = self._kubernetes.list_watch(path, field_selector=name)
        async with aclosing(cast("_Closable", observations)):
            async for observation in observations:
                match observation:
                    case Listed():
                        self._listed.add(kind)
                        self._wake.set()
                    case Gap():
                        self._disturb(f"The watch on {kind}s was interrupted: {observation.reason}.")
                    case Changed():
                        self._weigh(kind, observation)
                    case _:
                        assert_never(observation)

    def _weigh(self, kind: Kind, change: Changed) -> None:
        known = self._signature
        if known is None or known.changed_by(kind, change.object, deleted=change.type == "DELETED"):
            name = (change.object.get("metadata") or {}).get("name", "")
            self._disturb(f"{kind} {name} changed.")
        elif kind == "Workload":
            # Its template or an observed generation may have changed, which no window depends on.
            self._wake.set()

    def _disturb(self, why: str) -> None:
        self._disturbed = True
        self._window.restart(why)
        self._wake.set()


def _describe_open(verdicts: tuple[Verdict, ...]) -> str:
    """What has not passed."""
    return " ".join([verdict.message for verdict in verdicts if not verdict.passed][:_SHOWN_MESSAGES])


_COLLECTIONS: dict[Kind, Callable[[WorkloadKey], str]] = {
    "Workload": lambda key: paths.workloads(key.kind, key.namespace),
    "Revision": lambda key: paths.revisions(key.kind, key.namespace),
    "Pod": lambda key: paths.pods(key.namespace),
    "Service": lambda key: paths.services(key.namespace),
    "EndpointSlice": lambda key: paths.endpointslices(key.namespace),
}


class _Closable(Protocol):
    async def aclose(self) -> None: ...
