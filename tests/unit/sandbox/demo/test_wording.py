"""What others said is told in short: known names go, what is new stays."""

from __future__ import annotations

import pytest

from responder.sandbox.demo.wording import Names, newly_said, without_reason

NAMES = Names("payments/payment-service", {"payment-service-97c4": "v1", "payment-service-67c4": "v2"})


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Rolled back payments/payment-service: settling", "Rolled back: settling"),
        ("Alert on payments/payment-service", "Alert"),
        ("Left as it is: payments/payment-service", "Left as it is"),
        ("Decision needed: roll back payments/payment-service?", "Decision needed: roll back?"),
        ("from payment-service-67c4 to payment-service-97c4", "from v2 to v1"),
        # Another workload, and a rule's name, are not the story's one.
        ("Alert on payments/payment-service-eu", "Alert on payments/payment-service-eu"),
        ("The rule payment-service/slow only tells.", "The rule payment-service/slow only tells."),
    ],
)
def test_names_that_say_nothing_new_are_left_out(text: str, short: str) -> None:
    assert NAMES.shorten(text) == short


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ("", "Rolled back: settling", "Rolled back: settling"),
        ("Rolled back: settling: a", "Rolled back: settling: b", "b"),
        ("Rolled back: waiting: a", "Rolled back: proven: b", "proven: b"),
        ("Alert: a", "Decision needed: a", "Decision needed: a"),
        ("same", "same", "same"),
        ("a: b: c", "a: b", "b"),
    ],
)
def test_an_edit_is_told_from_where_it_differs(before: str, now: str, new: str) -> None:
    assert newly_said(before, now) == new


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Decision needed: It began before.", "Decision needed"),
        ("Decision needed - It began before.", "Decision needed"),
        ("It began before.", "It began before."),
        ("Decision needed: something else", "Decision needed: something else"),
    ],
)
def test_a_reason_that_was_told_is_not_told_again(text: str, short: str) -> None:
    assert without_reason(text, ["", "It began before."]) == short
