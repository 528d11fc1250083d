"""The trouble is that of the new pods, wherever they run: not of the old ones too, nor of one node. Pure.

Where a metric carries no label of pod or revision, nothing can be told apart, and nothing speaks against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from responder.rules.chance import surely_more
from responder.rules.conditions import Comparison, holds
from responder.rules.facts import Apart, Facts, PodCount
from responder.rules.guards.wording import no_answer
from responder.rules.measurement import Measurement
from responder.rules.model import MIN_BAD_SAMPLES, Unit
from responder.verdicts import Result, Verdict, failed, passed, unknown

# Pods elsewhere with a tenth of the bad share are well: what is left of a fault of all would be more.
_FAR_FEWER = 10.0


def new_pods_worse(facts: Facts) -> Verdict:
    """Where the metric splits by revision, the new pods are worse than the old ones are, or were."""
    check = "NewPodsWorse"
    return _gravest([_compare(check, facts, leaf) for leaf in facts.holding]) or _untold(check, facts)


def not_one_node(facts: Facts) -> Verdict:
    """Where the metric splits by pod, the bad events come from pods on more than one node."""
    check = "NotOneNode"
    return _gravest([_spread(check, facts, leaf) for leaf in facts.holding]) or _untold(check, facts)


def _gravest(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The first failed one, else the first unknown one, else the first; None without any."""
    order = (Result.FAILED, Result.UNKNOWN, Result.PASSED)
    return min(verdicts, key=lambda verdict: order.index(verdict.result), default=None)


def _untold(check: str, facts: Facts) -> Verdict:
    if facts.trouble:
        return no_answer(check, facts)
    return unknown(check, "NothingToCompare", f"{facts.rule.condition} is not known to hold now.")


def _compare(check: str, facts: Facts, leaf: Comparison) -> Verdict:
    """One comparison: new pods against old ones while both served, else against what the target once was."""
    apart = facts.apart.get(leaf)
    if apart is None or facts.bad is None or facts.target is None:
        return unknown(check, "RevisionsUnknown", "Which revisions to compare is not known.")
    old_name, evidence = facts.target.revision.name, _evidence(leaf, apart, facts.before.get(leaf))
    if not apart.new.measured and facts.trouble:
        return _untold(check, facts)
    if not apart.new.measured and not any(count.hash for count in facts.by_pod.get(leaf, ())):
        return passed(check, "NotSplitByRevision", f"{leaf.metric} does not tell old pods from new ones.")
    if not apart.new.measured:
        text = f"{leaf.metric} has no value for the pods of {facts.bad.name} alone"
        return unknown(check, "NewPodsNotMeasured", f"{text}.", **evidence)
    new, old = apart.new_beside, apart.old_beside
    if new is not None and old is not None and old.rests_on(facts.file.metrics[leaf.metric].min_samples):
        worse = _worse(leaf, new, old)
        if _true(leaf, old) and not (worse and _far_worse(leaf, new, old)):
            text = f"While both served, pods of {old_name} were {'bad as well' if worse else 'as bad'}"
            text = f"{text}: {leaf.metric} was {_value(old)} there, {_value(new)} on the new"
            return failed(check, "NotOnlyTheNewPods", f"{text}; {leaf} holds of both.", **evidence)
        if _true(leaf, new) and worse:
            text = f"{leaf.metric} was {_value(new)} on the new pods, {_value(old)} on those of {old_name}"
            return passed(check, "NewPodsWorse", f"{text}, while both served.", **evidence)
    before = facts.before.get(leaf)
    if before is None or not before.measured:
        text = f"There is nothing from {old_name} that {leaf.metric} of the new pods can be compared with"
        return unknown(check, "NothingToCompareWith", f"{text}.", **evidence)
    text = f"{leaf.metric} is {_value(apart.new)} on the new pods and was {_value(before)} before them"
    if not _worse(leaf, apart.new, before):
        return failed(check, "NewPodsNoWorse", f"{text}: no difference that is more than chance.", **evidence)
    return passed(check, "NewPodsWorse", f"{text}.", **evidence)


def _evidence(leaf: Comparison, apart: Apart, before: Measurement | None) -> dict[str, float | None]:
    told = {
        "new": apart.new,
        "new_beside": apart.new_beside,
        "old_beside": apart.old_beside,
        "before": before,
    }
    found: dict[str, float | None] = {}
    for name, each in told.items():
        if each is not None and each.measured:
            found |= {f"{leaf.metric}_{name}": each.value, f"{leaf.metric}_{name}_samples": each.samples}
    return found


def _value(measured: Measurement) -> str:
    return "unknown" if measured.value is None else f"{measured.value:.4g}"


def _true(leaf: Comparison, measured: Measurement) -> bool:
    return holds(leaf, {leaf.metric: measured.value}) is True


def _worse(leaf: Comparison, new: Measurement, old: Measurement) -> bool:
    """True when the new value is worse by more than chance; by the values where bad ones can't be counted."""
    if not (new.samples and old.samples) or new.bad_samples is None or old.bad_samples is None:
        if new.value is None or old.value is None:
            return False
        return new.value > old.value if leaf.worse_is_higher else new.value < old.value
    return surely_more(new.bad_samples, new.samples, old.bad_samples, old.samples)


def _far_worse(leaf: Comparison, new: Measurement, old: Measurement) -> bool:
    """True when the old bad share, or value where none is counted, is a tenth of the new one at most."""
    if new.samples and old.samples and new.bad_samples is not None and old.bad_samples is not None:
        return new.bad_samples / new.samples >= _FAR_FEWER * old.bad_samples / old.samples
    if new.value is None or old.value is None:
        return False
    good, bad = (old.value, new.value) if leaf.worse_is_higher else (new.value, old.value)
    return bad >= _FAR_FEWER * good


def _spread(check: str, facts: Facts, leaf: Comparison) -> Verdict:
    """One comparison: whether pods on other nodes have their share of the bad events."""
    if facts.nodes is None:
        return unknown(check, "PodsUnknown", "On which nodes the new pods run could not be read.")
    if len(set(facts.nodes.values())) < 2:
        return passed(check, "OneNodeAlone", "The new pods run on one node: none can be told from another.")
    counts = [count for count in facts.by_pod.get(leaf, ()) if _is_new(facts, count)]
    if not counts and facts.trouble:
        return _untold(check, facts)
    bad, samples = _by_node(facts, counts)
    if not sum(bad.values()):
        return passed(
            check, "NotSplitByPod", f"{leaf.metric} does not tell one pod's bad events from another's."
        )
    worst = max(bad, key=lambda node: bad[node])
    elsewhere, rest = sum(bad.values()) - bad[worst], sum(samples.values()) - samples[worst]
    there = max(samples[worst], bad[worst])
    share = bad[worst] / there
    evidence: dict[str, str | float] = {
        "node": worst,
        "bad_there": bad[worst],
        "bad_elsewhere": elsewhere,
        "samples_elsewhere": rest,
    }
    well = _well(facts, leaf, elsewhere, rest) and surely_more(bad[worst], there, elsewhere, rest)
    if elsewhere * _FAR_FEWER >= share * rest and elsewhere > 0 and not well:
        return passed(check, "SeveralNodes", f"Bad events come from {len(bad)} nodes' pods.", **evidence)
    if share * rest < MIN_BAD_SAMPLES:
        text = f"Of {rest:.0f} samples from pods on other nodes than {worst} too few would be bad to tell"
        return unknown(check, "TooFewSamplesElsewhere", f"{text}.", **evidence)
    text = f"Of {sum(bad.values()):.0f} bad events {bad[worst]:.0f} come from pods on node {worst}"
    return failed(check, "OneNodeOnly", f"{text}: pods of the same revision elsewhere are well.", **evidence)


def _well(facts: Facts, leaf: Comparison, bad: float, samples: float) -> bool:
    """True when so many bad ones, of enough samples, would not make the comparison true."""
    metric = facts.file.metrics[leaf.metric]
    if samples < max(1, metric.min_samples):
        return False
    if metric.quantile is not None:
        return leaf.worse_is_higher and bad / samples < 1 - metric.quantile
    if metric.unit is not Unit.RATIO:
        return False
    allowed = leaf.threshold if leaf.worse_is_higher else 1 - leaf.threshold
    return bad / samples < allowed


def _is_new(facts: Facts, count: PodCount) -> bool:
    """True for a pod of the current revision, by its label or, where series carry none, by its name."""
    if count.hash:
        return facts.bad is not None and count.hash == facts.bad.hash
    return facts.nodes is not None and count.pod in facts.nodes


def _by_node(facts: Facts, counts: Sequence[PodCount]) -> tuple[dict[str, float], dict[str, float]]:
    """Bad events and samples by node; a pod that is gone since counts as a node of its own."""
    bad: dict[str, float] = defaultdict(float)
    samples: dict[str, float] = defaultdict(float)
    for count in counts:
        node = (facts.nodes or {}).get(count.pod, f"of {count.pod}, which is gone")
        bad[node] += count.bad or 0.0
        samples[node] += count.samples
    return bad, samples
