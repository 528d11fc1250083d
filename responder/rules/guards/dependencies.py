"""Nothing that the service calls was bad before it was. Pure."""

from __future__ import annotations

from responder.rules.conditions import Condition, comparisons, holds
from responder.rules.facts import DependencyState, Facts, enough_of, truths_of, values_of
from responder.rules.guards.cause import find_onset
from responder.rules.guards.wording import clock, evidence_of, said_of
from responder.rules.model import Dependency
from responder.rules.promql import workload_labels
from responder.rules.runs import Run, find_runs
from responder.verdicts import Result, Verdict, failed, passed, unknown

_CHECK = "DependenciesGood"


def dependencies_good(facts: Facts) -> Verdict:
    """No dependency of the rule file is bad now, or was right before the onset or with it."""
    named = facts.file.dependencies
    if not named:
        return passed(_CHECK, "NoDependencies", "The rule file names nothing that the service calls.")
    states = facts.dependencies
    verdicts = [_judge(facts, each, states.get(each.name) or DependencyState()) for each in named]
    for result in (Result.FAILED, Result.UNKNOWN):
        for verdict in verdicts:
            if verdict.result is result:
                return verdict
    evidence = {key: value for verdict in verdicts for key, value in verdict.evidence.items()}
    names = ", ".join(each.name for each in named)
    return passed(_CHECK, "DependenciesGood", f"What it calls is well and was: {names}.", **evidence)


def _judge(facts: Facts, dependency: Dependency, state: DependencyState) -> Verdict:
    condition, name = dependency.condition, dependency.name
    selector = facts.file.selector if dependency.workload is None else workload_labels(dependency.workload)
    numbers = evidence_of(facts.file, condition, state.measurements, selector)
    # Under its name: another workload's metric may be called as one of this one's.
    evidence = {f"{name}/{key}": value for key, value in numbers.items()}
    said = said_of(condition, state.measurements)
    if holds(condition, values_of(condition, state.measurements)):
        text = f"{name}, which the service calls, is bad itself ({condition}): {said}"
        return failed(_CHECK, "DependencyBad", f"{text}.", dependency=name, **evidence)
    run, onset = _bad_at_onset(facts, condition, state), find_onset(facts)
    if run is not None and onset is not None:
        text = f"{name}, which the service calls, was bad ({condition}) at {clock(run.first)}"
        told = f"{text}, {'before' if run.first < onset else 'as'} the trouble began at {clock(onset)}"
        evidence = {"dependency": name, "since": run.first.isoformat(), **evidence}
        if run.sure:
            return failed(_CHECK, "DependencyWasBad", f"{told}.", **evidence)
        told = f"{told}, but what that rests on is too little or not known"
        return unknown(_CHECK, "DependencyMayHaveBeenBad", f"{told}.", **evidence)
    if holds(condition, values_of(condition, enough_of(facts.file, state.measurements))) is None:
        samples = ", ".join(
            f"{facts.file.metrics[leaf.metric].min_samples} samples of {leaf.metric}"
            for leaf in comparisons(condition)
        )
        text = f"Whether {name}, which the service calls, is well can't be told: {said}; it takes {samples}"
        return unknown(_CHECK, "DependencyUnknown", f"{text}.", dependency=name, **evidence)
    return passed(_CHECK, "DependenciesGood", f"{name} is well: {said}.", **evidence)


def _bad_at_onset(facts: Facts, condition: Condition, state: DependencyState) -> Run | None:
    """The gravest time around the onset at which it was bad by more than chance, or may have been."""
    onset, metrics = find_onset(facts), facts.file.metrics
    if onset is None:
        return None
    # Its threshold may be crossed later than the service's own, by the same fault.
    until = onset + max(metrics[leaf.metric].onset_range for leaf in comparisons(condition))
    since = onset - facts.file.rollback.clean_gap
    truths = truths_of(condition, state.series)
    runs = find_runs(condition, truths, state.series, state.counted, metrics)
    near = [run for run in runs if run.first < until and run.last >= since and run.sure is not False]
    return next((run for run in near if run.sure), near[0] if near else None)
