"""The part of Prometheus' templates that alert labels and annotations commonly use. Pure.

`{{ $labels.pod }}`, `{{ $value }}`, with humanize, humanizePercentage, humanizeDuration and printf "%.2f".
Anything else becomes an error text in place, as in Prometheus, so that the alert itself is never lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from responder.sandbox.prometheus.formatting import format_general
from responder.sandbox.prometheus.labels import Labels, label_value

_ACTION = re.compile(r"(\s*)\{\{(-?)\s*(.*?)\s*(-?)\}\}(\s*)", re.DOTALL)
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)")
_PRINTF = re.compile(r'printf\s+"((?:[^"\\]|\\.)*)"(?:\s+(.+))?')
_VERB = re.compile(r"%(\.[0-9]+)?([fgesvd])")


class _TemplateError(Exception):
    """The template can't be expanded; str() is why."""


def expand_template(text: str, labels: Labels, value: float) -> str:
    """The text with its {{ }} replaced."""

    def replace(action: re.Match[str]) -> str:
        before, trim_before, body, trim_after, after = action.groups()
        result = _pipeline(body, labels, value)
        shown = format_general(result) if isinstance(result, float) else result
        return ("" if trim_before else before) + shown + ("" if trim_after else after)

    try:
        return _ACTION.sub(replace, text)
    except _TemplateError as error:
        return f"<error expanding template: {error}>"


def _pipeline(body: str, labels: Labels, value: float) -> str | float:
    first, *rest = (part.strip() for part in body.split("|"))
    result = _term(first, labels, value)
    for stage in rest:
        found = _PRINTF.fullmatch(stage)
        result = _printf(found[1], result) if found else _function(stage)(_number(result))
    return result


def _term(text: str, labels: Labels, value: float) -> str | float:
    if text in ("$value", ".Value"):
        return value
    if found := _LABEL.fullmatch(text):
        return label_value(labels, found[1])
    if (found := _PRINTF.fullmatch(text)) and found[2]:
        return _printf(found[1], _term(found[2].strip(), labels, value))
    name, _, argument = text.partition(" ")
    if argument:
        return _function(name)(_number(_term(argument.strip(), labels, value)))
    raise _TemplateError(f"the built-in Prometheus does not implement {{{{ {text} }}}}")


def _number(term: str | float) -> float:
    try:
        return float(term)
    except ValueError as error:
        raise _TemplateError(f"can't convert {term!r} to float") from error


def _printf(layout: str, argument: str | float) -> str:
    verb = _VERB.search(layout)
    if verb is None:
        raise _TemplateError(f'the built-in Prometheus does not implement printf "{layout}"')
    kind = verb[2]
    if kind in "sv" or (kind == "g" and not verb[1]):
        shown = format_general(argument) if isinstance(argument, float) else argument
    else:
        shown = f"%{verb[1] or ''}{kind}" % _number(argument)
    return (layout[: verb.start()] + shown + layout[verb.end() :]).replace("%%", "%")


def _function(name: str) -> Callable[[float], str]:
    if name not in _FUNCTIONS:
        raise _TemplateError(f'function "{name}" not defined')
    return _FUNCTIONS[name]


def _significant(value: float) -> str:
    """Go's %.4g."""
    return re.sub(r"e([+-])(\d)$", r"e\g<1>0\2", f"{value:.4g}")


def _humanize(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return _significant(value) if value == 0 else format_general(value)
    up, down = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"], ["", "m", "u", "n", "p", "f", "a", "z", "y"]
    prefixes, factor = (up, 1 / 1000) if abs(value) >= 1 else (down, 1000.0)
    index = 0
    while index < len(prefixes) - 1 and (abs(value) >= 1000 if factor < 1 else abs(value) < 1):
        value *= factor
        index += 1
    return _significant(value) + prefixes[index]


def _humanize_duration(value: float) -> str:
    if not math.isfinite(value):
        return format_general(value)
    if value == 0:
        return "0s"
    if abs(value) < 1:
        return _humanize(value) + "s"
    sign, seconds = ("-" if value < 0 else ""), int(abs(value))
    days, hours, minutes, rest = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {rest}s"
    if minutes:
        return f"{sign}{minutes}m {rest}s"
    return sign + _significant(abs(value)) + "s"


_FUNCTIONS: dict[str, Callable[[float], str]] = {
    "humanize": _humanize,
    "humanizeDuration": _humanize_duration,
    "humanizePercentage": lambda value: _significant(value * 100) + "%",
}
