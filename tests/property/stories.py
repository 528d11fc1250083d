"""Whole stories: two replicas, two Alertmanagers, and whatever people and machines do meanwhile.

Drawn by hypothesis, played on virtual time by the harness of the flow tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import strategies as st

from responder.incidents.model import Incident
from responder.sandbox.api.faults import FaultRule, Refuse
from responder.sandbox.api.store import Event
from responder.workloads.views import FREEZE
from tests.flow.harness import INCIDENTS, LEAVE, ROLL_BACK, Stage
from tests.flow.replicas import Pair, Replica

# A few seconds hit the undo and its proof, a minute or two the settling.
waits = st.sampled_from([0.5, 2.0, 5.0, 12.0, 30.0, 60.0, 120.0])
events = st.sampled_from(
    [
        *("kill leader", "kill leader", "kill other", "stop leader"),
        *("release bad", "release bad", "release good", "go back"),
        *("alertmanager empty", "alertmanager empty", "prometheus silent", "api gone"),
        *("click rollback", "click leave", "freeze", "unfreeze", "silence", "unsilence"),
    ]
)
Step = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Tale:
    """What happens after a first bad release, each followed by a wait in seconds."""

    steps: tuple[Step, ...]
    asks: bool

    def __str__(self) -> str:
        told = ", ".join(f"{event} {wait:g}" for event, wait in self.steps)
        return f"{'asks' if self.asks else 'acts'}: {told}"


tales = st.builds(
    Tale,
    steps=st.lists(st.tuples(events, waits), min_size=3, max_size=9).map(tuple),
    asks=st.integers(0, 3).map(lambda number: number == 0),
)


@dataclass
class Told:
    """A story under way: how often replicas were started, and every state of an incident."""

    there: Pair
    versions: int = 2
    started: int = 2
    incidents: list[Incident] = field(default_factory=list)

    @property
    def here(self) -> Stage:
        return self.there.here

    def note(self, event: Event) -> None:
        if event.resource.key == INCIDENTS and event.type != "DELETED":
            obj = {**event.object, "status": event.object.get("status") or {}}
            self.incidents.append(Incident.model_validate(obj))

    async def play(self, steps: tuple[Step, ...]) -> None:
        for event, wait in steps:
            await self.take(event)
            await self.here.rest(timedelta(seconds=wait))
        await self.calm()

    async def calm(self) -> None:
        """Everything works again, for long enough that echoes and held instances are seen to."""
        self.here.answering(True)
        self.here.unsilence()
        self.here.annotate_workload(FREEZE, None)
        await self.here.rest(timedelta(minutes=12))

    async def take(self, event: str) -> None:
        """Let one thing happen."""
        here, alertmanagers = self.here, self.here.world.alertmanagers
        match event:
            case "kill leader" | "stop leader" | "kill other":
                await self.replace(leading=event != "kill other", stopped=event == "stop leader")
            case "release bad" | "release good":
                self.versions += 1
                bad = event == "release bad"
                here.world.release(f"v{self.versions}", error_rate=0.3 if bad else 0.0)
            case "go back":
                here.world.release("v1")
            case "alertmanager empty":
                alertmanagers[self.versions % 2].restart_empty()
            case "prometheus silent":
                here.answering(False)
                await here.rest(timedelta(seconds=20))
                here.answering(True)
            case "api gone":
                here.world.cluster.faults.add(FaultRule("*", ".", Refuse(503), client="responder"))
                await here.rest(timedelta(seconds=20))
                here.world.cluster.faults.clear()
            case "click rollback" | "click leave":
                await self.click(ROLL_BACK if event == "click rollback" else LEAVE)
            case "freeze" | "unfreeze":
                here.annotate_workload(FREEZE, "audit" if event == "freeze" else None)
            case "silence":
                here.silence()
            case "unsilence":
                here.unsilence()

    async def click(self, action: str) -> None:
        """Press the newest message's button, if it has one."""
        incidents = self.here.incidents()
        uid = incidents[-1]["metadata"]["uid"] if incidents else "nobody's"
        told = any(uid in str(message.metadata) for message in self.here.world.slack.messages)
        if told and action in self.here.offers(len(incidents)):
            await self.here.click(action, sequence=len(incidents))

    async def replace(self, *, leading: bool, stopped: bool) -> None:
        """End one of the replicas, and start another in its place, as a ReplicaSet does."""
        first_leads = self.there.first.app.leading
        old = self.there.first if first_leads == leading else self.there.second
        await (old.stop() if stopped else old.kill())
        self.started += 1
        new = Replica(f"replica-{self.started}", self.here, old.service)
        if old is self.there.first:
            self.there.first = new
        else:
            self.there.second = new
        await new.start()
