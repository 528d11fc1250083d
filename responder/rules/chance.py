"""What may be chance alone. Pure arithmetic, for guards and for the recovery proof."""

from __future__ import annotations

import math

# The 95% quantile of the normal distribution: by so many standard errors hardly anything differs by chance.
SURE = 1.645


def surely_more(bad: float, samples: float, other_bad: float, other_samples: float) -> bool:
    """True when the first share of bad samples is larger than the other one by more than chance.

    By the pooled standard error of their difference, one-sided. Neither may be of no samples.
    """
    # Prometheus extrapolates: there may be more bad ones than samples.
    together = min(1.0, max(0.0, (bad + other_bad) / (samples + other_samples)))
    error = math.sqrt(together * (1 - together) * (1 / samples + 1 / other_samples))
    return bad / samples - other_bad / other_samples > SURE * error
