"""Alertmanager's label matchers: parsed, applied to labels, and written back. Pure.

They let a rule take alerts that somebody else's Prometheus rules fire.
Source: https://prometheus.io/docs/alerting/latest/configuration/#matcher
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import promql_parser

from responder.rules.findings import TextError
from responder.rules.promql import quote

MatchOperator = Literal["=", "!=", "=~", "!~"]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_OPERATORS: Mapping[str, MatchOperator] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
_OPERATOR = re.compile(r"=~|!=|!~|=")
_QUOTED = re.compile(r'"(?P<body>(?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r'[^",{}]*')
_SPACE = re.compile(r"\s*")
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
_ESCAPE = re.compile(r'\\[n"\\]')


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. An absent label counts as empty; regular expressions are anchored."""

    label: str
    operator: MatchOperator
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{quote(self.value)}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True when the labels satisfy this matcher."""
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == self.value) is (self.operator == "=")
        return (re.fullmatch(self.value, found) is not None) is (self.operator == "=~")


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers in `text`: `alertname="Errors",severity=~"page|critical"`, in braces or without.

    Raises TextError with the offset of the mistake; a text without any matcher is one.
    """
    body = text.strip()
    start = text.index(body)
    if body.startswith("{"):
        if not body.endswith("}"):
            raise TextError("a matcher list that begins with { has to end with }", start + len(body))
        body, start = body[1:-1], start + 1
    matchers = tuple(_parse_list(body, start))
    if not matchers:
        raise TextError('no matcher: write one such as alertname="PaymentErrors"', start)
    return matchers


def _parse_list(body: str, start: int) -> Iterator[Matcher]:
    position = _skip_space(body, 0)
    while position < len(body):
        matcher, position = _parse_one(body, position, start)
        yield matcher
        position = _skip_space(body, position)
        if position < len(body):
            if body[position] != ",":
                raise TextError(f"expected a comma before {body[position:]!r}", start + position)
            position = _skip_space(body, position + 1)


def _parse_one(body: str, position: int, start: int) -> tuple[Matcher, int]:
    name = _NAME.match(body, position)
    if name is None:
        raise TextError(f"expected a label name, found {body[position:]!r}", start + position)
    position = _skip_space(body, name.end())
    operator = _OPERATOR.match(body, position)
    if operator is None:
        raise TextError(f"expected =, !=, =~ or !~ after {name[0]}", start + position)
    position = _skip_space(body, operator.end())
    value, end = _parse_value(body, position, start)
    symbol = _OPERATORS[operator[0]]
    if symbol in ("=~", "!~"):
        _check_regex(value, start + position)
    return Matcher(name[0], symbol, value), end


def _parse_value(body: str, position: int, start: int) -> tuple[str, int]:
    quoted = _QUOTED.match(body, position)
    if quoted is not None:
        value = _ESCAPE.sub(lambda match: _ESCAPES[match[0]], quoted["body"])
        return value, quoted.end()
    if body[position : position + 1] == '"':
        raise TextError("the quote is never closed", start + position)
    bare = _BARE.match(body, position)
    assert bare is not None  # the expression matches the empty text as well
    return bare[0].rstrip(), bare.end()


def _check_regex(pattern: str, offset: int) -> None:
    """Both engines have to take it: Alertmanager's (RE2, as in PromQL) to route, Python's to match."""
    try:
        re.compile(pattern)
        promql_parser.parse(f"x{{label=~{quote(pattern)}}}")
    except (re.error, ValueError) as error:
        raise TextError(f"invalid regular expression {pattern!r}: {error}", offset) from None


def _skip_space(body: str, position: int) -> int:
    match = _SPACE.match(body, position)
    assert match is not None  # the expression matches the empty text as well
    return match.end()
