"""How far a measured value may be off by chance alone: one-sided 95% bounds. Pure arithmetic."""

from __future__ import annotations

import math

from responder.rules.chance import SURE


def wilson_bounds(ratio: float, samples: float) -> tuple[float, float]:
    """The lowest and highest true ratio that a measured one of so many samples (over 0) may stand for.

    Each bound by itself holds with 95%. Source: https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval
    """
    # A ratio of two rates can leave 0 to 1 a little, by Prometheus's extrapolation.
    ratio = min(1.0, max(0.0, ratio))
    square = SURE * SURE / samples
    middle = ratio + square / 2
    spread = SURE * math.sqrt(ratio * (1 - ratio) / samples + square / (4 * samples))
    return max(0.0, (middle - spread) / (1 + square)), min(1.0, (middle + spread) / (1 + square))


def quantile_bounds(quantile: float, samples: float) -> tuple[float, float]:
    """The quantiles (0 to 1) of so many samples between which the true one lies, each bound with 95%."""
    spread = SURE * math.sqrt(quantile * (1 - quantile) / samples)
    return max(0.0, quantile - spread), min(1.0, quantile + spread)
