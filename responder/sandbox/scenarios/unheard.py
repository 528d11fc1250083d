"""What rule files ask for that a scenario never has, and that would be silent otherwise. Pure.

Called by the command, which warns of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from responder.rules.model import RuleFile, RuleSet
from responder.rules.promql import metric_names, render
from responder.sandbox.scenarios.model import Scenario
from responder.sandbox.traffic.metrics import PodCounters

# A threshold stands in label values alone: any number shows which metrics are named.
_ANY_THRESHOLD = 1.0


def served_metrics() -> tuple[str, ...]:
    """The names of all metrics that a simulated pod has, its `up` included, sorted."""
    return tuple(sorted({"up", *(name for name, _, _ in PodCounters().samples())}))


def find_unheard(rules: RuleSet, scenario: Scenario) -> Iterator[str]:
    """A sentence for each workload that the scenario has not, and for metrics that no pod has."""
    places = {each.place for each in scenario.workloads}
    served = served_metrics()
    for file in rules.files:
        place = f"{file.workload.namespace}/{file.workload.name}"
        if place not in places:
            yield (
                f"{file.path}: nothing ever fires: the scenario has no workload {place}, but"
                f" {', '.join(sorted(places))}"
            )
        if missing := sorted(_named(file).difference(served)):
            yield (
                f"{file.path}: asks for {', '.join(missing)}, which no simulated pod has, so that it never"
                f" fires. They have {', '.join(served)}"
            )


def _named(file: RuleFile) -> set[str]:
    found: set[str] = set()
    for metric in file.metrics.values():
        for query in filter(None, (metric.query, metric.samples, metric.bad_samples)):
            found |= metric_names(
                render(
                    query,
                    file.selector,
                    range=metric.range,
                    threshold=_ANY_THRESHOLD,
                    quantile=metric.quantile,
                )
            )
    return found
