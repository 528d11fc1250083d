"""Which replica acts: the one that holds the Lease, and only while it surely does.

Validity is counted on the monotonic clock, from before the request that renewed it; the times in the Lease
are for people. Before another replica can take the Lease, this one sends no writes any more; what it sent
just before may still arrive. Called by app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from responder.clients.kubernetes import AlreadyExists, Conflict, Kubernetes, NotFound, Object, paths
from responder.clock import Clock
from responder.errors import ResponderError
from responder.tasks import together
from responder.term import Term

log = structlog.get_logger(__name__)

LEASE_NAME = "responder"
# A released Lease is free at once. Source: client-go tools/leaderelection, release().
_RELEASED_SECONDS = 1
# What stopping may wait for the release; without it the Lease runs out by itself.
_RELEASE_WITHIN_SECONDS = 2.0
# Waits until the end of a term end a little after it, not a rounding error before.
_TICK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """How long a Lease holds without renewal, and what follows from that.

    The proportions are those of the Kubernetes components: of 15 s, work ends after 10 s without renewal, and
    it is renewed every 2 s. A candidate looks more often, so that a released Lease is not free for long.
    Source: component-base/config/v1alpha1/defaults.go.
    """

    duration: timedelta

    @property
    def duration_seconds(self) -> int:
        """Whole seconds, as the Lease has them; at least 1."""
        return max(1, round(self.duration.total_seconds()))

    @property
    def term_seconds(self) -> float:
        """How long the holder may act on one renewal. The rest is for work to end in."""
        return self.duration_seconds * 2 / 3

    @property
    def renew_seconds(self) -> float:
        """How often the holder renews."""
        return self.duration_seconds * 2 / 15

    @property
    def look_seconds(self) -> float:
        """How often a candidate looks."""
        return min(1.0, self.duration_seconds / 15)

    @property
    def request_seconds(self) -> float:
        """How long one request may take, so that a silent connection leaves time for a second try."""
        return self.term_seconds / 3


@dataclass(frozen=True, slots=True)
class _Seen:
    """A Lease held by another replica, and when it was first seen so, on the loop's clock."""

    spec: dict[str, Any]
    at_seconds: float


class Elector:
    """Competes for the Lease. `leader` says who holds it, as last seen; None when nobody does."""

    def __init__(
        self, kubernetes: Kubernetes, clock: Clock, namespace: str, identity: str, duration: timedelta
    ) -> None:
        self._kubernetes = kubernetes
        self._clock = clock
        self._leases = paths.leases(namespace)
        self._path = paths.named(self._leases, LEASE_NAME)
        self._timing = LeaseTiming(duration)
        self.identity = identity
        self.leader: str | None = None
        self.problem: str | None = None
        self._seen: _Seen | None = None
        # For people: who held the Lease last, and how it came to be free.
        self._before: str | None = None
        self._free_by = ""
        self._version = ""

    async def run(self, lead: Callable[[Term], Coroutine[Any, Any, None]]) -> None:
        """Compete until cancelled. `lead` runs once in each term, and is cancelled when that ends.

        The Lease is released only after `lead` has ended. An error of `lead` is raised.
        """
        while True:
            term = await self._win()
            log.info("leading", identity=self.identity, after=self._before, why=self._free_by)
            try:
                async with together() as group:
                    leading = group.create_task(lead(term))
                    await self._keep(term)
                    log.error("lease_lost", identity=self.identity, leader=self.leader, problem=self.problem)
                    leading.cancel()
            finally:
                # Here all work has ended, however it did.
                await self._release(term)

    async def _win(self) -> Term:
        """Return once the Lease is ours."""
        while True:
            sent_seconds = _now_seconds()
            try:
                async with asyncio.timeout(self._timing.request_seconds):
                    won = await self._try_to_win()
            except (ResponderError, TimeoutError) as error:
                self._note_problem(error)
                won = False
            if won:
                self.leader = self.identity
                return Term(sent_seconds + self._timing.term_seconds)
            await self._clock.sleep(self._timing.look_seconds)

    async def _try_to_win(self) -> bool:
        """Take the Lease if it is free, ours already, or was not renewed for as long as it says."""
        try:
            lease = await self._kubernetes.get(self._path)
        except NotFound:
            # Whoever held the Lease that somebody deleted may act on it for as long as it was to last.
            self._free_by = "no Lease" if self._before is None else "deleted"
            return self._has_expired(None) and await self._create()
        self.problem = None
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or None
        self.leader = holder
        self._before = holder or self._before
        self._free_by = _freed_by(holder, self.identity)
        if holder not in (None, self.identity) and not self._has_expired(spec):
            return False
        transitions = int(spec.get("leaseTransitions") or 0) + (holder != self.identity)
        now = self._stamp()
        claimed = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._timing.duration_seconds,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        return await self._write(str(lease["metadata"]["resourceVersion"]), claimed)

    def _has_expired(self, spec: dict[str, Any] | None) -> bool:
        """Whether the other's Lease was seen unchanged, or gone, for its whole duration, whatever it says."""
        if spec is not None and (self._seen is None or self._seen.spec != spec):
            self._seen = _Seen(spec, _now_seconds())
        if self._seen is None:
            return True
        duration = float(self._seen.spec.get("leaseDurationSeconds") or self._timing.duration_seconds)
        return _now_seconds() - self._seen.at_seconds > duration

    async def _create(self) -> bool:
        now = self._stamp()
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE_NAME},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self._timing.duration_seconds,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }
        try:
            self._know(await self._kubernetes.create(self._leases, body))
        except AlreadyExists:
            return False
        return True

    async def _keep(self, term: Term) -> None:
        """Renew; return when the term is over, or somebody else has the Lease."""
        while term.left_seconds > 0:
            await self._clock.sleep(min(self._timing.renew_seconds, term.left_seconds + _TICK_SECONDS))
            sent_seconds = _now_seconds()
            within_seconds = min(self._timing.request_seconds, term.left_seconds + _TICK_SECONDS)
            try:
                async with asyncio.timeout(within_seconds):
                    ours = await self._renew()
            except (ResponderError, TimeoutError) as error:
                self._note_problem(error)
                continue
            if not ours:
                break
            term.extend(sent_seconds + self._timing.term_seconds)
        term.end()

    async def _renew(self) -> bool:
        """Renew the Lease; False when it is somebody else's."""
        try:
            if await self._write(self._version, {"renewTime": self._stamp()}):
                self.problem = None
                return True
        except NotFound:
            return await self._create()
        # Changed by a renewal of ours whose answer was lost, by a person's edit, or by another holder.
        return await self._is_ours() and await self._write(self._version, {"renewTime": self._stamp()})

    async def _is_ours(self) -> bool:
        """Read the Lease anew: its version, and whether we hold it."""
        lease = await self._kubernetes.get(self._path)
        self.leader = (lease.get("spec") or {}).get("holderIdentity") or None
        self._know(lease)
        return self.leader == self.identity

    async def _write(self, version: str, spec: dict[str, Any]) -> bool:
        """Change the Lease of exactly that version; False when it has another by now."""
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        try:
            self._know(await self._kubernetes.merge_patch(self._path, body))
        except Conflict:
            return False
        return True

    async def _release(self, term: Term) -> None:
        """Let others take the Lease at once, if it is still ours."""
        lasted = term.left_seconds > 0
        term.end()
        if not lasted:
            return
        try:
            async with asyncio.timeout(_RELEASE_WITHIN_SECONDS):
                released = await self._give_away()
        except (ResponderError, TimeoutError) as error:
            log.warning("lease_not_released", error=str(error) or type(error).__name__)
        else:
            self.leader = None
            log.info("lease_released", identity=self.identity, held=released)

    async def _give_away(self) -> bool:
        """Write that nobody holds the Lease; False when somebody else does."""
        spec = {
            "holderIdentity": "",
            "leaseDurationSeconds": _RELEASED_SECONDS,
            "renewTime": self._stamp(),
        }
        if await self._write(self._version, spec):
            return True
        # Mostly a renewal that was under way when we stopped.
        return await self._is_ours() and await self._write(self._version, spec)

    def _know(self, lease: Object) -> None:
        self._version = str(lease["metadata"]["resourceVersion"])

    def _note_problem(self, error: Exception) -> None:
        problem = str(error) or "the API server did not answer in time"
        if problem != self.problem:
            log.warning("lease_out_of_reach", error=problem)
        self.problem = problem

    def _stamp(self) -> str:
        return micro_time(self._clock.now())


def _freed_by(holder: str | None, identity: str) -> str:
    """How a Lease that says so comes to be free, if it is."""
    if holder is None:
        return "released"
    return "ours already" if holder == identity else "expired"


def micro_time(at: datetime) -> str:
    """An instant as the Lease has it. Source: apimachinery meta/v1 MicroTime."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _now_seconds() -> float:
    return asyncio.get_running_loop().time()
