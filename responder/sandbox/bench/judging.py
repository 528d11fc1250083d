"""How long a judgement takes by itself, and whether more rule files make it slower.

The facts are real: a workload's objects as the API server has them, a ledger, and a series of four hours.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from responder.rules.conditions import comparisons
from responder.rules.decide import Course, decide
from responder.rules.facts import Apart, Facts, Others, Preflight
from responder.rules.load import load_rules
from responder.rules.measurement import Measurement
from responder.rules.model import RuleFile, RuleSet
from responder.rules.storm import StormBrake
from responder.sandbox.bench.api import BenchError
from responder.sandbox.bench.figures import Figure
from responder.sandbox.bench.ground import Ground
from responder.sandbox.bench.prometheus import BAD, GOOD
from responder.sandbox.bench.workloads import Workload, create, release_bad, write_rules
from responder.workloads.history import History, parse_history
from responder.workloads.ledger import Ledger, Serving, parse_revision
from responder.workloads.target import select_target

_FILES = 1_000
_ROUNDS = 300
# As many as the pipeline asks of Prometheus at most.
_STEPS = 1_500
_BRAKE = StormBrake(
    workloads=3, within=timedelta(minutes=5), wait=timedelta(seconds=10), calm=timedelta(minutes=15)
)


async def measure_judging(ground: Ground) -> list[Figure]:
    """Match and decide, with one rule file and with a thousand, in turns."""
    workload = Workload(f"{ground.prefix}-judged")
    await create(ground.api, [workload], ground.clock)
    await release_bad(ground.api, [workload], ground.clock)
    replicasets = workload.deployments.replace("/deployments", "/replicasets")
    history = parse_history(
        await ground.api.request("GET", workload.path), await ground.api.items(replicasets)
    )
    one = _load([workload], ground.folder / "rules-1")
    others = [Workload(f"{ground.prefix}-other-{number:04}") for number in range(_FILES - 1)]
    thousand = _load([workload, *others], ground.folder / "rules-1000")
    judges = [_judge(rules, workload, history, ground.clock.now()) for rules in (one, thousand)]
    few, many = _time_in_turns(judges)
    return [
        Figure("match and decide, 1 rule file", few * 1e6, "us"),
        Figure("match and decide, 1,000 rule files", many * 1e6, "us"),
        Figure("1,000 rule files / 1 rule file", many / few, "ratio", 2, inclusive=True),
    ]


def _load(workloads: list[Workload], folder: Path) -> RuleSet:
    return load_rules(write_rules(workloads, folder))


def _judge(rules: RuleSet, workload: Workload, history: History, now: datetime) -> Callable[[], Course]:
    """What the responder does with an alert and its facts: find the file and the rule, and decide."""
    file = rules.file_for(_only(rules, workload).workload)
    labels = workload.delivery(now)["alerts"][0]["labels"]
    facts = _facts(_only(rules, workload), history, now)

    def judge() -> Course:
        found = rules.match(labels)
        if file is None or found != facts.rules:
            raise BenchError("bench: the alert did not match its own rule")
        return decide(facts).course

    if judge() is not Course.ROLL_BACK:
        raise BenchError(f"bench: the judgement should be a rollback: {decide(facts).message}")
    return judge


def _only(rules: RuleSet, workload: Workload) -> RuleFile:
    return next(file for file in rules.files if file.workload.namespace == workload.namespace)


def _facts(file: RuleFile, history: History, now: datetime) -> Facts:
    """Four hours of a series with the onset an hour ago, just after the bad revision began to serve."""
    bad, (target,) = history.current, history.old
    if bad is None:
        raise BenchError("bench: the workload has no current revision")
    began = now - timedelta(hours=1)
    ledger = Ledger(
        watched_from=now - timedelta(days=9),
        servings=(
            Serving(revision=parse_revision(target), seen=True, first_serving_at=now - timedelta(days=8)),
            Serving(revision=parse_revision(bad), seen=True, first_serving_at=began),
        ),
    )
    step = timedelta(seconds=10)
    instants = [now - number * step for number in range(_STEPS)]
    rule = file.rules[0]
    (leaf,) = comparisons(rule.condition)
    window = file.metrics[leaf.metric].range
    return Facts(
        now=now,
        incident="bench",
        file=file,
        rules=(rule,),
        firing=(rule,),
        history=history,
        ledger=ledger,
        bad=bad,
        target=select_target(history, ledger, bad),
        measurements={leaf: Measurement(BAD, 10_000, 5_000, window, now)},
        before={leaf: Measurement(GOOD, 10_000, 0, window, began)},
        series={leaf.metric: {at: BAD if at > began else GOOD for at in instants}},
        apart={leaf: Apart(Measurement(BAD, 10_000, 5_000, window, now))},
        nodes={},
        preflight=Preflight(),
        others=Others(_BRAKE, began, ()),
    )


def _time_in_turns(judges: list[Callable[[], Course]]) -> list[float]:
    """The median seconds of each, turn by turn, so that what disturbs one disturbs the other."""
    taken: list[list[float]] = [[] for _ in judges]
    for _ in range(_ROUNDS):
        for judge, seconds in zip(judges, taken, strict=True):
            started = perf_counter()
            judge()
            seconds.append(perf_counter() - started)
    return [statistics.median(seconds) for seconds in taken]
