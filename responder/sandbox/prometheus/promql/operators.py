"""Binary operators with their vector matching, and aggregations. Pure.

Source: Prometheus 2.42 promql/engine.go (VectorBinop, VectorscalarBinop, aggregation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from responder.sandbox.prometheus.labels import (
    METRIC_NAME,
    Labels,
    drop,
    drop_name,
    keep,
    label_value,
    labels_of,
    show,
)
from responder.sandbox.prometheus.promql.arithmetic import ARITHMETIC, COMPARISONS
from responder.sandbox.prometheus.promql.values import (
    ExecutionError,
    Sample,
    UnsupportedError,
    Vector,
    unique,
)


@dataclass(frozen=True, slots=True)
class Matching:
    """How two vectors' elements find each other.

    `many` is the side that may have several elements a key: "left" for group_left, "right" for group_right.
    """

    on: bool = False
    names: tuple[str, ...] = ()
    many: str = ""
    include: tuple[str, ...] = ()

    def key(self, labels: Labels) -> Labels:
        """What elements of both sides must have in common."""
        return keep(labels, self.names) if self.on else drop(labels, (*self.names, METRIC_NAME))


def set_operation(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """`and`, `or`, `unless`."""
    if op == "or":
        known = {matching.key(sample.labels) for sample in left}
        return unique([*left, *(sample for sample in right if matching.key(sample.labels) not in known)])
    known = {matching.key(sample.labels) for sample in right}
    return [sample for sample in left if (matching.key(sample.labels) in known) == (op == "and")]


def scalar_scalar(op: str, left: float, right: float) -> float:
    """An operator between two numbers; a comparison gives 0 or 1."""
    if op in COMPARISONS:
        return float(COMPARISONS[op](left, right))
    return _arithmetic(op)(left, right)


def vector_scalar(op: str, vector: Vector, scalar: float, *, swapped: bool, as_bool: bool) -> Vector:
    """An operator between each element and a number; `swapped` when the number stands on the left."""
    samples = []
    for sample in vector:
        left, right = (scalar, sample.value) if swapped else (sample.value, scalar)
        if op not in COMPARISONS:
            samples.append(Sample(drop_name(sample.labels), _arithmetic(op)(left, right)))
        elif as_bool:
            samples.append(Sample(drop_name(sample.labels), float(COMPARISONS[op](left, right))))
        elif COMPARISONS[op](left, right):
            samples.append(sample)
    return unique(samples)


def vector_vector(op: str, left: Vector, right: Vector, matching: Matching, *, as_bool: bool) -> Vector:
    """An operator between elements that match; one side must be unique for each key."""
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    partners = _index(one, matching, "left" if swapped else "right")
    if not matching.many:
        _index(many, matching, "left")
    samples = []
    for sample in many:
        partner = partners.get(matching.key(sample.labels))
        if partner is None:
            continue
        a, b = (partner.value, sample.value) if swapped else (sample.value, partner.value)
        if op in COMPARISONS:
            holds = COMPARISONS[op](a, b)
            if not as_bool and not holds:
                continue
            value = float(holds) if as_bool else a
        else:
            value = _arithmetic(op)(a, b)
        nameless = as_bool or op not in COMPARISONS
        samples.append(Sample(_result_labels(sample.labels, partner.labels, matching, nameless), value))
    return unique(samples)


def _arithmetic(op: str) -> Callable[[float, float], float]:
    if op not in ARITHMETIC:
        raise UnsupportedError(f"the operator {op!r}")
    return ARITHMETIC[op]


def _index(vector: Vector, matching: Matching, side: str) -> dict[Labels, Sample]:
    found: dict[Labels, Sample] = {}
    for sample in vector:
        key = matching.key(sample.labels)
        if key in found:
            raise ExecutionError(
                f"found duplicate series for the match group {show(key)} on the {side} hand-side of the "
                f"operation: [{show(found[key].labels)}, {show(sample.labels)}];many-to-many matching not "
                "allowed: matching labels must be unique on one side"
            )
        found[key] = sample
    return found


def _result_labels(many: Labels, one: Labels, matching: Matching, nameless: bool) -> Labels:
    labels = drop_name(many) if nameless else many
    if not matching.many:
        return keep(labels, matching.names) if matching.on else drop(labels, matching.names)
    included = {name: label_value(one, name) for name in matching.include}
    return labels_of({**dict(labels), **included})


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (names)` or, when `without`, all labels but those."""

    without: bool = False
    names: tuple[str, ...] = ()

    def key(self, labels: Labels) -> Labels:
        """The labels of the group an element belongs to."""
        return drop(labels, (*self.names, METRIC_NAME)) if self.without else keep(labels, self.names)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values) / len(values)


def _numbers(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)] or [math.nan]


AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": lambda values: float(sum(values)),
    "avg": _mean,
    "min": lambda values: min(_numbers(values)),
    "max": lambda values: max(_numbers(values)),
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
}


def aggregate(op: str, vector: Vector, grouping: Grouping, parameter: float | None) -> Vector:
    """One element a group, or for topk and bottomk the chosen elements of each group."""
    groups: dict[Labels, list[Sample]] = {}
    for sample in vector:
        groups.setdefault(grouping.key(sample.labels), []).append(sample)
    if op in ("topk", "bottomk"):
        count = max(0, int(parameter)) if parameter is not None and math.isfinite(parameter) else 0
        return [sample for members in groups.values() for sample in _choose(members, count, op == "topk")]
    if op not in AGGREGATIONS:
        raise UnsupportedError(f"the aggregation {op!r}")
    compute = AGGREGATIONS[op]
    return [Sample(key, compute([member.value for member in members])) for key, members in groups.items()]


def _choose(members: Vector, count: int, largest: bool) -> Vector:
    """The extreme elements in order; NaN comes last either way."""
    numbers = [member for member in members if not math.isnan(member.value)]
    rest = [member for member in members if math.isnan(member.value)]
    return [*sorted(numbers, key=lambda member: member.value, reverse=largest), *rest][:count]
