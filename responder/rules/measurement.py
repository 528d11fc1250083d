"""A metric's value together with what it rests on. Pure data, filled by clients/measure.py.

Read by guards and by the recovery proof, which say how many samples are enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric over the window of length `range` that ends at `at`.

    `value` is in the metric's unit; None is no data, NaN a ratio without traffic. `samples` counts what the
    value rests on, `bad_samples` the bad ones among them; None where they can't be counted.
    """

    value: float | None
    samples: float | None
    bad_samples: float | None
    range: timedelta
    at: datetime

    @property
    def measured(self) -> bool:
        """True when there is a value that can be compared; neither no data nor NaN is one."""
        return self.value is not None and not math.isnan(self.value)

    def rests_on(self, min_samples: int) -> bool:
        """True when at least so many samples were counted; samples that can't be counted are none."""
        return self.samples is not None and self.samples >= min_samples
