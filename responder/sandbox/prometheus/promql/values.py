"""The values PromQL expressions have, and the ways evaluating one fails. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from responder.errors import ResponderError
from responder.sandbox.prometheus.labels import Labels, show


class PromqlError(ResponderError):
    """A query that can't be answered; `error_type` is the word the HTTP API uses for it."""

    error_type = "execution"


class ParseError(PromqlError):
    """The text is not PromQL."""

    error_type = "bad_data"


class ExecutionError(PromqlError):
    """The query is well formed, but the data does not allow an answer."""


class UnsupportedError(ExecutionError):
    """Valid PromQL outside the subset that is implemented here."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the built-in Prometheus does not implement {what}; use the real one for this")


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an instant vector."""

    labels: Labels
    value: float


Vector = list[Sample]


@dataclass(frozen=True, slots=True)
class RangeSeries:
    """One series of a range vector: times in milliseconds, rising, without staleness markers."""

    labels: Labels
    times: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A range vector and the closed interval it was selected from."""

    series: list[RangeSeries]
    start_ms: int
    end_ms: int


Value = float | str | Vector | Matrix


def unique(samples: Iterable[Sample]) -> Vector:
    """The samples as a vector; raises ExecutionError when two have the same labels."""
    vector = list(samples)
    seen: set[Labels] = set()
    for sample in vector:
        if sample.labels in seen:
            raise ExecutionError(
                f"vector cannot contain metrics with the same labelset: {show(sample.labels)}"
            )
        seen.add(sample.labels)
    return vector
