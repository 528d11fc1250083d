"""What two Alertmanagers see of alerts that come and go, and what they deliver: twice, late, or not at all.

Drawn by hypothesis. All instants are seconds from the beginning of the story.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st

NAMES = ("HighErrorRate", "Slow")
# Within one round trip, within a retry, beyond a look of the reconcile or two.
waits = st.sampled_from([0.0, 0.05, 0.2, 1.0, 5.0, 70.0, 130.0])
short_waits = st.sampled_from([0.0, 0.05, 0.2, 1.0])


@dataclass(frozen=True, slots=True)
class Instance:
    """One alert from its start to its end; each Alertmanager has its own idea of both, in seconds."""

    name: str
    number: int
    starts: tuple[float, float]
    ends: tuple[float, float] | None

    def active(self, sender: int, at: float) -> bool:
        return self.starts[sender] <= at and (self.ends is None or at < self.ends[sender])


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert, delivered by one of the Alertmanagers at that second."""

    at: float
    sender: int
    instance: Instance
    firing: bool


@dataclass(frozen=True, slots=True)
class Empty:
    """An Alertmanager that was restarted without its data, and hears of alerts again only then."""

    sender: int
    at: float
    until: float


@st.composite
def instances(draw: st.DrawFn, name: str) -> list[Instance]:
    """One to three instances of an alert, one after another; the last may never end."""
    found: list[Instance] = []
    at = draw(short_waits)
    count = draw(st.integers(1, 3))
    for number in range(1, count + 1):
        skew = draw(st.sampled_from([0.0, 0.3, 2.0]))
        starts = (at, at + skew)
        last = at + skew + draw(waits) + 0.5
        late = draw(st.sampled_from([0.0, 0.1]))
        goes_on = number == count and draw(st.booleans())
        found.append(Instance(name, number, starts, None if goes_on else (last, last + late)))
        at = last + late + 0.5 + draw(waits)
    return found


@st.composite
def deliveries(draw: st.DrawFn, instance: Instance, latest: st.SearchStrategy[float]) -> list[Delivery]:
    """What each Alertmanager tells of an instance: repeated, late, its end perhaps never."""
    found = []
    for sender in (0, 1):
        for _ in range(draw(st.integers(1, 2))):
            found.append(Delivery(instance.starts[sender] + draw(latest), sender, instance, True))
        if instance.ends is not None:
            for _ in range(draw(st.integers(0, 2))):
                found.append(Delivery(instance.ends[sender] + draw(latest), sender, instance, False))
    return found


@dataclass(frozen=True, slots=True)
class Acting:
    """What whoever leads does at that second, and after how long it is killed, if it is."""

    at: float
    what: str
    killed_after: float | None


@dataclass(frozen=True, slots=True)
class Tale:
    """A whole example."""

    instances: tuple[Instance, ...]
    deliveries: tuple[Delivery, ...]
    empty: Empty | None
    acts: tuple[Acting, ...]
    kills: tuple[tuple[float, int], ...]
    seed: int

    def at(self, seconds: float) -> timedelta:
        return timedelta(seconds=seconds)


acts = st.builds(
    Acting,
    at=st.floats(0, 300).map(lambda at: round(at, 2)) | waits,
    what=st.sampled_from(["close", "close", "follow", "revision"]),
    killed_after=st.none() | st.sampled_from([0.05, 0.1, 0.2, 0.4, 0.8]),
)


@st.composite
def tales(draw: st.DrawFn, latest: st.SearchStrategy[float] = waits) -> Tale:
    """Any example; `latest` is how late a delivery may be."""
    every = [each for name in NAMES[: draw(st.integers(1, 2))] for each in draw(instances(name))]
    sent = [each for instance in every for each in draw(deliveries(instance, latest))]
    empty = None
    if draw(st.booleans()):
        at = draw(st.sampled_from([0.0, 3.0, 60.0, 100.0]))
        empty = Empty(draw(st.integers(0, 1)), at, at + draw(st.sampled_from([1.0, 30.0, 130.0])))
    return Tale(
        tuple(every),
        tuple(sorted(sent, key=lambda each: each.at)),
        empty,
        tuple(sorted(draw(st.lists(acts, max_size=6)), key=lambda each: each.at)),
        tuple(draw(st.lists(st.tuples(waits, st.integers(0, 1)), max_size=3))),
        draw(st.integers(0, 1000)),
    )
