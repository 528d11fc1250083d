"""The dependencies section of a rule file: what the service calls, and when that is bad. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from responder.rules.conditions import Condition, Measurable, parse_condition
from responder.rules.document import Findings
from responder.rules.fields import Fields
from responder.rules.model import Dependency
from responder.rules.sections import dns_label, parse_workload
from responder.workloads.key import WorkloadKey

DEPENDENCY_KEYS = ("if", "workload")


def parse_dependencies(
    node: yaml.Node, findings: Findings, own: WorkloadKey | None, metrics: Mapping[str, Measurable]
) -> tuple[Dependency, ...]:
    """What the section names, in the order of the file."""
    names = Fields(node, findings, "dependencies", None)
    found = []
    for name, value in names.values.items():
        names.parse(names.keys[name], dns_label, "dependencies")
        fields = Fields(value, findings, f"dependency {name}", DEPENDENCY_KEYS)

        def parse(text: str) -> Condition | None:
            return parse_condition(text, metrics)

        condition = fields.needed("if", parse, None, "when it is bad, such as stripe_error_rate > 5%")
        its_workload = fields.values.get("workload")
        workload = None if its_workload is None else parse_workload(its_workload, findings)
        if its_workload is not None and workload is not None and workload == own:
            findings.add(
                its_workload, f"dependency {name} is the service itself: leave workload out, or name another"
            )
        if condition is not None:
            found.append(Dependency(name, condition, workload))
    return tuple(found)
