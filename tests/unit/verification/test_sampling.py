"""The statistics, against what defines them and against chance itself."""

from __future__ import annotations

import math
import random

import pytest

from responder.verification.sampling import quantile_bounds, wilson_bounds


@pytest.mark.parametrize(("ratio", "samples"), [(0.5, 100), (0.01, 1000), (0.0033, 300), (0.98, 50)])
def test_wilson_bounds_lie_where_the_measured_ratio_would_just_be_unlikely(
    ratio: float, samples: int
) -> None:
    """What defines them: from each bound, the measured ratio is 1.645 standard errors of the bound away."""
    low, high = wilson_bounds(ratio, samples)
    assert low < ratio < high
    for bound in (low, high):
        standard_error = math.sqrt(bound * (1 - bound) / samples)
        assert abs(ratio - bound) == pytest.approx(1.645 * standard_error)


def test_wilson_bounds_at_the_ends() -> None:
    assert wilson_bounds(0.0, 300) == pytest.approx((0.0, 1.645**2 / (300 + 1.645**2)))
    assert wilson_bounds(1.0, 300) == pytest.approx((300 / (300 + 1.645**2), 1.0))


def test_a_ratio_beyond_its_ends_is_taken_as_the_end() -> None:
    assert wilson_bounds(1.02, 300) == wilson_bounds(1.0, 300)
    assert wilson_bounds(-0.01, 300) == wilson_bounds(0.0, 300)


def test_an_unchanged_ratio_is_rarely_called_worse() -> None:
    """One-sided 95%: of many services that did not change, about one in twenty looks worse."""
    dice = random.Random(1)
    true_ratio, samples, tries = 0.02, 1000, 1000
    worse = 0
    for _ in range(tries):
        errors = sum(dice.random() < true_ratio for _ in range(samples))
        worse += wilson_bounds(errors / samples, samples)[0] > true_ratio
    assert 0.02 < worse / tries < 0.09


def test_quantile_bounds() -> None:
    assert quantile_bounds(0.95, 300) == pytest.approx((0.929301, 0.970699), abs=1e-5)
    assert quantile_bounds(0.99, 5) == pytest.approx((0.916802, 1.0), abs=1e-5)
