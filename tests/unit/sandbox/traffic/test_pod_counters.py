"""Shares are exact in every short window, and histograms say what the annotations promise."""

from __future__ import annotations

import pytest

from responder.sandbox.prometheus.promql.vectors import bucket_quantile
from responder.sandbox.traffic import LATENCY_BUCKETS, Behaviour, BehaviourError, PodCounters
from responder.sandbox.traffic.behaviour import parse_behaviour


def counters() -> PodCounters:
    return PodCounters.seeded("7/payment-a")


def test_the_error_rate_holds_in_every_short_window() -> None:
    pod = counters()
    failed = [pod.serve(5, Behaviour(error_rate=0.05)) for _ in range(400)]

    for start in range(0, 400, 8):
        assert abs(sum(failed[start : start + 8]) - 2) <= 1
    assert pod.transactions == 2000
    assert abs(pod.errors - 100) <= 1


def test_no_errors_and_nothing_but_errors() -> None:
    pod = counters()

    assert pod.serve(1000, Behaviour(error_rate=0.0)) == 0
    assert pod.serve(1000, Behaviour(error_rate=1.0)) == 1000


@pytest.mark.parametrize(
    ("p95", "low", "high"),
    [(0.12, 0.1, 0.25), (2.9, 2.0, 3.0), (3.1, 3.0, 5.0), (4.9, 3.0, 5.0), (5.1, 5.0, 10.0)],
)
def test_the_histogram_puts_p95_into_its_bucket(p95: float, low: float, high: float) -> None:
    pod = counters()
    for _ in range(1000):
        pod.serve(7, Behaviour(latency_p95_seconds=p95))

    counts = [*zip((bound for _, bound in LATENCY_BUCKETS), map(float, pod.within), strict=True)]
    quantile = bucket_quantile(0.95, [*counts, (float("inf"), float(pod.transactions))])

    assert low < quantile <= high


def test_counters_never_fall_and_buckets_are_cumulative_while_behaviour_changes() -> None:
    pod = counters()
    before = list(pod.samples())
    for index in range(300):
        pod.serve(3, Behaviour(0.01 * (index % 7), 0.1 + index % 5))
        after = list(pod.samples())

        assert all(new[2] >= old[2] for old, new in zip(before, after, strict=True))
        assert pod.within == sorted(pod.within)
        assert pod.within[-1] <= pod.transactions
        before = after


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, same, other = counters(), counters(), PodCounters.seeded("8/payment-a")
    behaviour = Behaviour(0.03, 1.0)
    history = [[pod.serve(4, behaviour) for _ in range(100)] for pod in (one, same, other)]

    assert history[0] == history[1]
    assert history[0] != history[2]


@pytest.mark.parametrize(
    ("error_rate", "latency", "expected"),
    [
        (None, None, Behaviour(0.0, 0.12)),
        ("0.05", "4s", Behaviour(0.05, 4.0)),
        ("1", "250ms", Behaviour(1.0, 0.25)),
        ("0", "1.5m", Behaviour(0.0, 90.0)),
    ],
)
def test_reads_annotations(error_rate: str | None, latency: str | None, expected: Behaviour) -> None:
    assert parse_behaviour(error_rate, latency) == expected


@pytest.mark.parametrize(
    ("error_rate", "latency"),
    [("5%", None), ("1.1", None), ("nan", None), (None, "4"), (None, "0s"), (None, "-1s")],
)
def test_refuses_annotations_it_can_not_read(error_rate: str | None, latency: str | None) -> None:
    with pytest.raises(BehaviourError, match=r"annotation sandbox\.responder\.dev/"):
        parse_behaviour(error_rate, latency)
