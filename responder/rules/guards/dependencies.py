"""Nothing that the service calls was bad before it was. Pure."""

from __future__ import annotations

from responder.rules.conditions import comparisons, holds
from responder.rules.facts import DependencyState, Facts, truths_of, values_of
from responder.rules.guards.cause import find_onset
from responder.rules.guards.wording import clock, evidence_of, said_of
from responder.rules.model import Dependency
from responder.rules.promql import workload_labels
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
    onset = find_onset(facts)
    if onset is not None:
        truths = truths_of(condition, state.series)
        # Its threshold may be crossed later than the service's own, by the same fault.
        until = onset + max(facts.file.metrics[leaf.metric].onset_range for leaf in comparisons(condition))
        near = (at for at in truths if onset - facts.file.rollback.clean_gap <= at < until)
        since = next((at for at in near if truths[at]), None)
        if since is not None:
            text = f"{name}, which the service calls, was bad ({condition}) at {clock(since)}"
            when = "before" if since < onset else "as"
            told = f"{text}, {when} the trouble began at {clock(onset)}."
            return failed(
                _CHECK, "DependencyWasBad", told, dependency=name, since=since.isoformat(), **evidence
            )
    enough = {
        leaf: measured
        for leaf, measured in state.measurements.items()
        if measured.rests_on(facts.file.metrics[leaf.metric].min_samples)
    }
    if holds(condition, values_of(condition, enough)) is None:
        samples = ", ".join(
            f"{facts.file.metrics[leaf.metric].min_samples} samples of {leaf.metric}"
            for leaf in comparisons(condition)
        )
        text = f"Whether {name}, which the service calls, is well can't be told: {said}; it takes {samples}"
        return unknown(_CHECK, "DependencyUnknown", f"{text}.", dependency=name, **evidence)
    return passed(_CHECK, "DependenciesGood", f"{name} is well: {said}.", **evidence)
