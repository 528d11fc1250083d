"""Series are found while they are fresh, end when told to, and are bounded in time and number."""

from __future__ import annotations

from datetime import timedelta

import pytest

from responder.sandbox.prometheus.labels import labels_of
from responder.sandbox.prometheus.tsdb import LOOKBACK_MS, SeriesLimitError, Tsdb

UP = labels_of({"__name__": "up", "pod": "a"})


def value_at(tsdb: Tsdb, time_ms: int) -> float | None:
    (series,) = tsdb.select("up", [])
    found = series.at(time_ms)
    return None if found is None else found[1]


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [
        (999, None),
        (1000, 1.0),
        (1999, 1.0),
        (2000, 2.0),
        (2000 + LOOKBACK_MS, 2.0),
        (2001 + LOOKBACK_MS, None),
    ],
)
def test_the_newest_sample_stands_for_five_minutes(time_ms: int, expected: float | None) -> None:
    tsdb = Tsdb()
    tsdb.append(UP, 1000, 1.0)
    tsdb.append(UP, 2000, 2.0)

    assert value_at(tsdb, time_ms) == expected


def test_a_staleness_marker_ends_a_series_at_once_and_a_sample_revives_it() -> None:
    tsdb = Tsdb()
    tsdb.append(UP, 1000, 1.0)
    tsdb.mark_stale(UP, 2000)
    tsdb.append(UP, 3000, 3.0)

    assert [value_at(tsdb, time_ms) for time_ms in (1999, 2000, 2999, 3000)] == [1.0, None, None, 3.0]
    (series,) = tsdb.select("up", [])
    assert series.between(0, 5000) == ([1000, 3000], [1.0, 3.0])


def test_an_older_or_repeated_sample_is_dropped() -> None:
    tsdb = Tsdb()
    for time_ms, value in ((2000, 2.0), (2000, 9.0), (1000, 9.0)):
        tsdb.append(UP, time_ms, value)

    (series,) = tsdb.select("up", [])
    assert series.between(0, 5000) == ([2000], [2.0])


def test_memory_is_bounded_in_time() -> None:
    tsdb = Tsdb(retention=timedelta(seconds=60))
    for second in range(2000):
        tsdb.append(UP, second * 1000, 1.0)

    (series,) = tsdb.select("up", [])
    assert series.times[-1] == 1_999_000
    assert len(series.times) < 400
    tsdb.expire(2_100_000)
    assert len(tsdb) == 0


def test_memory_is_bounded_in_series() -> None:
    tsdb = Tsdb(max_series=1)
    tsdb.append(UP, 1000, 1.0)

    with pytest.raises(SeriesLimitError, match="limit of 1 series"):
        tsdb.append(labels_of({"__name__": "up", "pod": "b"}), 1000, 1.0)
