"""The oracle answers for any interval, counts refusals as failures, and forgets the oldest ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.sandbox.oracle import Oracle, Recipient, Tally, Tick

START = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = Recipient("rs-good", "payment-1", "hash1", "pod-1", "payment-1-a")
ALSO_GOOD = Recipient("rs-good", "payment-1", "hash1", "pod-2", "payment-1-b")
BAD = Recipient("rs-bad", "payment-2", "hash2", "pod-3", "payment-2-a")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def oracle() -> Oracle:
    oracle = Oracle()
    oracle.record(Tick(at(1), {GOOD: Tally(6, 0), ALSO_GOOD: Tally(4, 1)}, 0))
    oracle.record(Tick(at(2), {GOOD: Tally(5, 0), BAD: Tally(5, 2)}, 1))
    oracle.record(Tick(at(3), {BAD: Tally(10, 3)}, 0))
    return oracle


def test_counts_by_revision_and_pod_within_an_interval(oracle: Oracle) -> None:
    assert oracle.requests_by_revision() == {"rs-good": Tally(15, 1), "rs-bad": Tally(15, 5)}
    assert oracle.requests_by_revision(at(1), at(2)) == {"rs-good": Tally(5, 0), "rs-bad": Tally(5, 2)}
    assert oracle.requests_by_revision(at(3)) == {}
    assert oracle.requests_by_pod(until=at(1)) == {"payment-1-a": Tally(6, 0), "payment-1-b": Tally(4, 1)}


def test_knows_the_first_and_the_last_request_to_a_revision(oracle: Oracle) -> None:
    assert (oracle.first_request_to("rs-good"), oracle.last_request_to("rs-good")) == (at(1), at(2))
    assert (oracle.first_request_to("rs-bad"), oracle.last_request_to("rs-bad")) == (at(2), at(3))
    assert oracle.last_request_to("rs-never") is None
    assert oracle.template_hash("rs-bad") == "hash2"


def test_a_refused_request_failed_for_its_client(oracle: Oracle) -> None:
    assert oracle.refused() == 1
    assert oracle.error_share(at(1), at(2)) == pytest.approx(3 / 11)
    assert oracle.error_share(at(9)) == 0.0


def test_a_timeline_has_a_slot_for_each_step_with_traffic(oracle: Oracle) -> None:
    oracle.record(Tick(at(9), {GOOD: Tally(1, 0)}, 0))

    slots = oracle.timeline(timedelta(seconds=2))

    assert [slot.at for slot in slots] == [at(1), at(3), at(9)]
    assert slots[0].revisions == {"rs-good": Tally(15, 1), "rs-bad": Tally(5, 2)}
    assert [slot.refused for slot in slots] == [1, 0, 0]


def test_remembers_a_bounded_number_of_ticks() -> None:
    oracle = Oracle(max_ticks=2)
    for second in range(5):
        oracle.record(Tick(at(second), {GOOD: Tally(1, 0)}, 0))

    assert oracle.requests_by_revision() == {"rs-good": Tally(2, 0)}
    assert oracle.first_request_to("rs-good") == at(0)
