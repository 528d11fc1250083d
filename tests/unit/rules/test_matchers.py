"""Alertmanager's matchers: accepted forms, meaning, and mistakes at their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.rules.findings import TextError
from responder.rules.matchers import Matcher, parse_matchers

NAME = Matcher("alertname", "=", "PaymentErrors")
SEVERITY = Matcher("severity", "=~", "page|critical")


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ('alertname="PaymentErrors"', (NAME,)),
        ("alertname=PaymentErrors", (NAME,)),
        ('{alertname="PaymentErrors"}', (NAME,)),
        ('alertname="PaymentErrors",severity=~"page|critical"', (NAME, SEVERITY)),
        (' { alertname = "PaymentErrors" , severity =~ "page|critical" , } ', (NAME, SEVERITY)),
        ('note!="a, b"', (Matcher("note", "!=", "a, b"),)),
        (r'note="say \"no\" \\ and\nleave"', (Matcher("note", "=", 'say "no" \\ and\nleave'),)),
        ('team!~""', (Matcher("team", "!~", ""),)),
        ("team=", (Matcher("team", "=", ""),)),
    ],
)
def test_parses(text: str, matchers: tuple[Matcher, ...]) -> None:
    assert parse_matchers(text) == matchers


@given(st.text())
def test_what_it_writes_it_reads(value: str) -> None:
    matcher = Matcher("note", "=", value)
    assert parse_matchers(str(matcher)) == (matcher,)


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, 'no matcher: write one such as alertname="PaymentErrors"'),
        ("{}", 1, 'no matcher: write one such as alertname="PaymentErrors"'),
        ('{a="b"', 6, "a matcher list that begins with { has to end with }"),
        ('="b"', 0, "expected a label name, found '=\"b\"'"),
        ("alertname", 9, "expected =, !=, =~ or !~ after alertname"),
        ("alertname > 3", 10, "expected =, !=, =~ or !~ after alertname"),
        ('a="b', 2, "the quote is never closed"),
        ('a="b" c="d"', 6, "expected a comma before 'c=\"d\"'"),
        ('a="b",,c="d"', 6, "expected a label name, found ',c=\"d\"'"),
    ],
)
def test_finds_the_mistake_at_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_matchers(text)
    assert (caught.value.offset, caught.value.message) == (offset, message)


@pytest.mark.parametrize("pattern", ["(", "a**", "(?=ahead)", "(?<name", r"(a)\1"])
def test_refuses_expressions_that_alertmanager_or_we_could_not_apply(pattern: str) -> None:
    with pytest.raises(TextError, match="invalid regular expression") as caught:
        parse_matchers(f'severity=~"{pattern.replace(chr(92), chr(92) * 2)}"')
    assert caught.value.offset == 10


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "bb"}, False),
        ("a=b", {}, False),
        ("a!=b", {}, True),
        ('a=""', {}, True),
        ('a!=""', {}, False),
        ("a=~b", {"a": "abc"}, False),
        ("a=~.*b.*", {"a": "abc"}, True),
        ("a=~x|abc", {"a": "abc"}, True),
        ("a=~x|ab", {"a": "abc"}, False),
        ("a=~.*", {}, True),
        ("a=~b.*", {"a": "b\nc"}, False),
        ("a=~b", {"a": "b\n"}, False),
        ("a!~b", {"a": "b"}, False),
        ("a!~b", {"a": "abc"}, True),
    ],
)
def test_meaning(text: str, labels: dict[str, str], matches: bool) -> None:
    (matcher,) = parse_matchers(text)
    assert matcher.matches(labels) is matches
