"""One replica acts at a time, whatever becomes of connections and clocks, by the server's own log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from responder.clients.kubernetes import Kubernetes, connect, paths
from responder.clock import Clock
from responder.errors import ResponderError
from responder.pipeline.elect import LEASE_NAME, Elector, LeaseTiming
from responder.sandbox.api.faults import DropAfter, DropBefore, FaultRule, Hang, Refuse
from responder.sandbox.cluster import Cluster
from responder.sandbox.virtual_time import LoopClock
from responder.term import Term, TermOver
from tests.shared import run_story

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DURATION = timedelta(seconds=15)
MARKS = "/api/v1/namespaces/default/configmaps"
LEASE = paths.named(paths.leases("default"), LEASE_NAME)


class SteppingClock:
    """A wall clock that somebody sets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.off = timedelta()

    def now(self) -> datetime:
        return self._clock.now() + self.off

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@dataclass
class Candidate:
    """An elector, and work that writes twice a second while it leads."""

    name: str
    kubernetes: Kubernetes
    clock: SteppingClock
    terms: list[Term] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    leads: bool = False

    def __post_init__(self) -> None:
        self.elector = Elector(self.kubernetes, self.clock, "default", self.name, DURATION)

    async def lead(self, term: Term) -> None:
        self.terms.append(term)
        self.leads = True
        fenced = self.kubernetes.during(term)
        try:
            while True:
                with suppress(ResponderError):
                    await fenced.create(MARKS, {"metadata": {"generateName": f"{self.name}-"}})
                await self.clock.sleep(0.5)
        finally:
            self.leads = False

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])


@dataclass
class Election:
    cluster: Cluster
    first: Candidate
    second: Candidate
    group: asyncio.TaskGroup

    def start(self, candidate: Candidate) -> None:
        candidate.task = self.group.create_task(candidate.elector.run(candidate.lead))

    async def rest(self, seconds: float) -> None:
        await self.cluster.clock.sleep(seconds)

    async def until_leads(self, candidate: Candidate) -> float:
        """How long it took, in seconds."""
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(300):
            while not candidate.leads:
                await self.rest(0.05)
        return asyncio.get_running_loop().time() - began

    def cut_off(self, candidate: Candidate, effect: Hang | DropBefore, path: str = ".") -> None:
        self.cluster.faults.add(FaultRule("*", path, effect, client=candidate.name))

    def actors(self) -> list[str]:
        """Who wrote, by the server's log: each change of hands once."""
        found: list[str] = []
        for write in self.cluster.log.writes(MARKS):
            name = write.user_agent.rpartition(" ")[2]
            if found[-1:] != [name]:
                found.append(name)
        return found


@asynccontextmanager
async def election(folder: Path) -> AsyncIterator[Election]:
    """Two candidates, of whom the first leads."""
    async with Cluster.start(clock=LoopClock(START)) as cluster:
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(cluster.kubeconfig()), encoding="utf-8")
        clients = [await connect(path, clock=cluster.clock, identity=name) for name in ("first", "second")]
        first, second = (
            Candidate(name, client, SteppingClock(cluster.clock))
            for name, client in zip(("first", "second"), clients, strict=True)
        )
        try:
            async with asyncio.TaskGroup() as group:
                here = Election(cluster, first, second, group)
                here.start(first)
                await here.until_leads(first)
                here.start(second)
                try:
                    yield here
                finally:
                    await asyncio.gather(*(each.stop() for each in (first, second) if each.task))
        finally:
            for client in clients:
                await client.close()


def test_one_leads_and_goes_on_leading(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(120)
            assert (here.first.leads, here.second.leads) == (True, False)
            assert here.actors() == ["first"]
            assert here.second.elector.leader == "first"
            lease = await here.first.kubernetes.get(LEASE)
            assert lease["spec"]["holderIdentity"] == "first"
            assert lease["spec"]["leaseTransitions"] == 0

    run_story(story())


def test_who_stops_hands_over_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(30)
            await here.first.stop()
            assert not here.first.leads
            assert await here.until_leads(here.second) < 1.5
            await here.rest(5)
            assert here.actors() == ["first", "second"]

    run_story(story())


async def stops(here: Election) -> None:
    await here.first.stop()


async def is_cut_off(here: Election) -> None:
    here.cut_off(here.first, Hang(), "/leases")


async def loses_its_lease(here: Election) -> None:
    await is_cut_off(here)
    await here.second.kubernetes.delete(LEASE)


@pytest.mark.parametrize(
    ("happens", "why"), [(stops, "released"), (is_cut_off, "expired"), (loses_its_lease, "deleted")]
)
def test_who_leads_next_says_after_whom_and_why(
    happens: Callable[[Election], Awaitable[None]], why: str, tmp_path: Path
) -> None:
    async def story() -> None:
        with capture_logs() as logs:
            async with election(tmp_path) as here:
                await here.rest(10)
                await happens(here)
                await here.until_leads(here.second)
        said = [(line["identity"], line["after"], line["why"]) for line in logs if line["event"] == "leading"]
        assert said == [("first", None, "no Lease"), ("second", "first", why)]

    run_story(story())


def test_who_stops_while_a_renewal_is_under_way_hands_over_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(30)
            # Carried out, and its answer never comes.
            here.cluster.faults.add(FaultRule("PATCH", "/leases/", Hang(after_effect=True), count=1))
            async with asyncio.timeout(10):
                while not here.cluster.faults.taken:
                    await here.rest(0.05)
            await here.first.stop()
            assert await here.until_leads(here.second) < 1.5

    run_story(story())


@pytest.mark.parametrize("path", [".", "/leases"])
@pytest.mark.parametrize("effect", [Hang(), DropBefore()], ids=["silence", "reset"])
def test_who_is_cut_off_stops_before_the_other_begins(
    effect: Hang | DropBefore, path: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(31)
            here.cut_off(here.first, effect, path)
            # The first counts from its last renewal, before which the second saw nothing change.
            assert 11 < await here.until_leads(here.second) < 17
            assert not here.first.leads
            await here.rest(30)
            assert here.actors() == ["first", "second"]
            here.cluster.faults.clear()
            await here.rest(30)
            assert here.actors() == ["first", "second"]
            assert here.first.elector.leader == "second"

    run_story(story())


def test_a_renewal_whose_answer_is_lost_ends_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            for _ in range(20):
                here.cluster.faults.add(FaultRule("PATCH", "/leases/", DropAfter(), count=1))
                await here.rest(3)
            assert here.actors() == ["first"]
            assert len(here.first.terms) == 1

    run_story(story())


def test_without_an_api_server_nobody_leads_and_afterwards_one_does(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(5)
            here.cluster.faults.add(FaultRule("*", ".", Refuse(503)))
            await here.rest(12)
            assert (here.first.leads, here.second.leads) == (False, False)
            await here.rest(48)
            here.cluster.faults.clear()
            # The one that had it may take it again at once, as nobody else could.
            await here.rest(20)
            assert [here.first.leads, here.second.leads].count(True) == 1
            assert len(here.actors()) <= 2

    run_story(story())


@pytest.mark.parametrize("hours", [-2, 2])
@pytest.mark.parametrize("of", ["first", "second"])
def test_no_wall_clock_moves_a_term(of: str, hours: int, tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(10)
            getattr(here, of).clock.off = timedelta(hours=hours)
            await here.rest(60)
            assert (here.first.leads, here.second.leads) == (True, False)
            here.cut_off(here.first, Hang(), "/leases")
            await here.rest(1)
            getattr(here, of).clock.off = timedelta(hours=-hours)
            assert 9 < await here.until_leads(here.second) < 17
            await here.rest(10)
            assert here.actors() == ["first", "second"]

    run_story(story())


def test_a_write_beyond_the_term_is_not_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(1)
            (term,) = here.first.terms
            await here.first.stop()
            before = len(here.cluster.log.writes(MARKS))
            with pytest.raises(TermOver):
                await here.first.kubernetes.during(term).create(
                    MARKS, {"metadata": {"generateName": "late-"}}
                )
            assert len(here.cluster.log.writes(MARKS)) == before or here.second.leads

    run_story(story())


def test_a_slow_write_is_given_up_with_the_term(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(1)
            here.cut_off(here.first, Hang())
            loop = asyncio.get_running_loop()
            began = loop.time()
            (term,) = here.first.terms
            assert term.left_seconds < LeaseTiming(DURATION).term_seconds
            await here.until_leads(here.second)
            assert term.left_seconds == 0
            assert loop.time() - began > LeaseTiming(DURATION).term_seconds - 2

    run_story(story())


def test_a_lease_that_a_person_deleted_is_made_anew(tmp_path: Path) -> None:
    async def story() -> None:
        async with election(tmp_path) as here:
            await here.rest(5)
            here.cluster.store.delete("leases.coordination.k8s.io", "default", LEASE_NAME)
            await here.rest(40)
            assert [here.first.leads, here.second.leads].count(True) == 1
            # Never both at once: each change of hands is one.
            assert here.actors() in (["first"], ["first", "second"])

    run_story(story())


def test_work_that_breaks_releases_the_lease_and_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            path = tmp_path / "kubeconfig"
            path.write_text(yaml.safe_dump(cluster.kubeconfig()), encoding="utf-8")
            kubernetes = await connect(path, clock=cluster.clock)

            async def lead(_term: Term) -> None:
                raise RuntimeError("a defect")

            try:
                with pytest.raises(RuntimeError, match="a defect"):
                    await Elector(kubernetes, cluster.clock, "default", "only", DURATION).run(lead)
                assert (await kubernetes.get(LEASE))["spec"]["holderIdentity"] == ""
            finally:
                await kubernetes.close()

    run_story(story())
