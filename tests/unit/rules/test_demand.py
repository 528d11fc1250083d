"""A load spike: where there is far more to do than before it began, the release need not be the cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from responder.rules.facts import Facts
from responder.rules.guards.cause import caused_by_rollout
from responder.verdicts import Result
from tests.unit.rules.build import FILE, MINUTE, NOW, V2_FROM, counts, facts, measured, measurements, series

ONSET = V2_FROM + MINUTE


def loaded(before: float, now: float, bad: float, *, ended: bool = False, **changes: object) -> Facts:
    """So many requests in a short window before the onset and since, so many of them bad."""
    spike = {at: now if at >= ONSET - MINUTE / 2 else before for at in series(0.0)}
    if ended:
        spike |= {at: before for at in spike if at > NOW - 3 * MINUTE}
    return replace(facts(loads={"error_rate": spike}, counted=counts(bad)), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (loaded(1_000, 1_000, 50), "OnsetAfterRollout"),
        (loaded(1_000, 5_000, 1_500), "LoadChanged"),
        (loaded(1_000, 2_050, 50), "LoadChanged"),
        (loaded(1_000, 2_049, 50), "OnsetAfterRollout"),
        # Clients that try again and again: so many more, but hardly a good one among them.
        (loaded(1_000, 4_000, 3_300), "OnsetAfterRollout"),
        # The load went, and the trouble did not.
        (loaded(1_000, 5_000, 50, ended=True), "OnsetAfterRollout"),
        # No traffic before: there is nothing to compare with, and another guard to say so.
        (loaded(0, 0, 0), "OnsetAfterRollout"),
        (facts(), "OnsetAfterRollout"),
        (facts(trouble="It is away."), "PrometheusUnavailable"),
    ],
)
def test_demand(found: Facts, reason: str) -> None:
    verdict = caused_by_rollout(found)
    assert verdict.reason == reason, verdict.message
    assert verdict.result is (Result.PASSED if reason == "OnsetAfterRollout" else Result.UNKNOWN)


def test_where_bad_ones_are_not_counted_all_of_them_have_to_tell() -> None:
    metrics = {name: replace(metric, bad_samples=None) for name, metric in FILE.metrics.items()}
    found = loaded(1_000, 4_000, 4_000, file=replace(FILE, metrics=metrics))
    assert caused_by_rollout(found).reason == "LoadChanged"


def test_the_numbers_are_said() -> None:
    verdict = caused_by_rollout(loaded(1_000, 5_000, 1_500))
    assert "3500 in 1m, where 1000 were all" in verdict.message
    assert (verdict.evidence["before"], verdict.evidence["now"]) == (1_000, 3_500)


def test_another_metric_that_is_well_does_not_matter() -> None:
    found = loaded(1_000, 1_000, 50)
    spike = {at: 9_000.0 if at >= ONSET else 100.0 for at in series(0.0)}
    both = replace(found, loads={**found.loads, "latency_p95": spike})
    assert both.measurements == measurements(measured(0.05), measured(0.2))
    assert caused_by_rollout(both).passed
