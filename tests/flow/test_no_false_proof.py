"""No false proof: once traffic is proven, the oracle sees no request to any revision but the target's.

With proxies that lag by less than the hold window, and without kept-alive connections. Longer lags are
counted beside: no API shows them, and the README names them as the limit of the proof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import example, given, note
from hypothesis import strategies as st

from responder.rules.conditions import comparisons, parse_condition
from responder.verification.recovery import check_condition
from tests.flow.conftest import TABLE_RUNS, Row
from tests.flow.random_undo import Tale, Undone, play, tales
from tests.property.counting import examples
from tests.shared import run_story
from tests.unit.verification.test_recovery import METRICS, reading

EXAMPLES = 12
MORE_EXAMPLES = 60
OTHER_EXAMPLES = 2
MORE_OTHER_EXAMPLES = 40
LONGER_EXAMPLES = 25
# Told before what is drawn: bad pods that bear the target's label; a slice for each pod, and a bad pod that
# takes a minute to go; nothing wanted at all; a port that leads to none of the pods.
KNOWN = {
    "Deployment": (
        Tale(2, 2, 10.0, 0.5, "15s", None, ((1.0, "relabel bad as target"),), None, 1),
        Tale(1, 1, 10.0, 0.9, "60s", None, ((5.0, "flap target"),), None, 2),
        Tale(2, 1, 10.0, 0.5, "1s", None, ((0.5, "scale to zero"), (12.0, "scale back")), None, 3),
        Tale(2, 2, 10.0, 0.5, "1s", None, ((5.0, "retarget service"),), None, 4),
    ),
    "StatefulSet": (
        Tale(2, 1, 10.0, 0.9, "15s", 2.0, ((5.0, "flap target"),), None, 1, "StatefulSet"),
        Tale(2, 1, 10.0, 0.5, "1s", None, ((0.5, "scale to zero"),), None, 3, "StatefulSet"),
    ),
    "DaemonSet": (
        Tale(1, 1, 10.0, 0.9, "15s", None, ((1.0, "relabel bad as stranger"),), None, 1, "DaemonSet"),
        Tale(1, 2, 20.0, 0.5, "1s", 0.5, ((12.0, "a node joins"),), None, 2, "DaemonSet"),
    ),
}
OTHER_KINDS = pytest.mark.parametrize("kind", [kind for kind in KNOWN if kind != "Deployment"])
SHORTER = st.floats(0.0, 0.9)
LONGER = st.floats(1.5, 4.0)


@dataclass(slots=True)
class Runs:
    """Random undos of one sort: how many, how many proven, and of those what went on after the proof.

    `astray` counts those with requests that another revision answered, `refused` those with requests that
    nobody took: a proxy that lags sends on to pods that are gone.
    """

    examples: int = 0
    proven: int = 0
    astray: int = 0
    refused: int = 0
    looks: int = 0

    def count(self, here: Undone) -> None:
        self.examples += 1
        self.looks += here.looks
        self.proven += here.proven
        self.astray += bool(here.proven and here.astray())
        self.refused += here.proven and here.refused() > 0

    def __str__(self) -> str:
        came_to = f"{self.examples} undos, {self.proven} proven, {self.astray} astray, {self.refused} refused"
        return f"{came_to} ({self.looks} looks judged)"


def told(tale: Tale, folders: pytest.TempPathFactory, runs: Runs) -> Undone:
    """Play it and count it; what the assessment says of the API's objects is true in any case."""
    note(str(tale))
    here = run_story(play(tale, folders.mktemp("undo")))
    runs.count(here)
    assert here.wrong == [], here.wrong[:3]
    assert here.proof is not None
    return here


def check(number: int, folders: pytest.TempPathFactory, kind: str = "Deployment") -> Runs:
    """Play so many tales of that kind; the oracle contradicts no proof."""
    runs = Runs()

    @given(tale=tales(SHORTER, kind))
    @examples(number, shrink=False)
    def holds(tale: Tale) -> None:
        here = told(tale, folders, runs)
        assert not here.proven or here.astray() == {}, here.proof

    for tale in KNOWN[kind]:
        holds = example(tale=tale)(holds)
    holds()
    # Were hardly any proven, it would hold for nothing.
    assert runs.proven >= runs.examples // 4, runs
    return runs


def test_what_is_proven_is_true(tmp_path_factory: pytest.TempPathFactory, row: Row) -> None:
    runs = check(EXAMPLES, tmp_path_factory)
    row(TABLE_RUNS, "Deployments, proxies that lag by less than the hold window", str(runs))


@pytest.mark.slow
def test_what_is_proven_is_true_at_length(tmp_path_factory: pytest.TempPathFactory, row: Row) -> None:
    runs = check(MORE_EXAMPLES, tmp_path_factory)
    row(TABLE_RUNS, "Deployments, proxies that lag by less than the hold window, at length", str(runs))


@OTHER_KINDS
def test_what_is_proven_of_other_kinds_is_true(
    tmp_path_factory: pytest.TempPathFactory, row: Row, kind: str
) -> None:
    runs = check(OTHER_EXAMPLES, tmp_path_factory, kind)
    row(TABLE_RUNS, f"{kind}s, proxies that lag by less than the hold window", str(runs))


@OTHER_KINDS
@pytest.mark.slow
def test_what_is_proven_of_other_kinds_is_true_at_length(
    tmp_path_factory: pytest.TempPathFactory, row: Row, kind: str
) -> None:
    runs = check(MORE_OTHER_EXAMPLES, tmp_path_factory, kind)
    row(TABLE_RUNS, f"{kind}s, proxies that lag by less than the hold window, at length", str(runs))


@pytest.mark.slow
def test_longer_lags_are_counted(tmp_path_factory: pytest.TempPathFactory, row: Row) -> None:
    """A proxy that lags for longer than the window sends on unseen, to pods that are gone: requests fail."""
    runs = Runs()

    @given(tale=tales(LONGER))
    @examples(LONGER_EXAMPLES, shrink=False)
    def count(tale: Tale) -> None:
        told(tale, tmp_path_factory, runs)

    count()
    assert runs.refused, "that proxies lag ought to show"
    row(TABLE_RUNS, "Deployments, proxies that lag for 1.5 to 4 hold windows", str(runs))


numbers = st.one_of(st.none(), st.just(math.nan), st.floats(0, 0.02), st.floats(2, 4))


@given(errors=numbers, slow=numbers, samples=st.sampled_from([None, 0.0, 299.0, 300.0]))
@examples(300)
def test_no_data_is_no_recovery(errors: float | None, slow: float | None, samples: float | None) -> None:
    """A recovery that passed has numbers below the bounds, on enough samples, of every metric it rests on."""
    condition = parse_condition("error_rate > 1% or latency_p95 > 3s", METRICS)
    values = {"error_rate": (errors, 0.01), "latency_p95": (slow, 3.0)}
    readings = {leaf: reading(leaf, values[leaf.metric][0], samples) for leaf in comparisons(condition)}
    good = [value is not None and value <= bound for value, bound in values.values()]  # NaN is not
    if check_condition(condition, readings).passed:
        assert all(good)
        assert samples is not None
        assert samples >= 300
