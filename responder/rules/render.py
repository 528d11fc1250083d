"""Rule files as Prometheus alerting rules and Alertmanager routes, so that there is one source of truth.

Rendering is pure; `write_rendered` writes the files for `responder rules render`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import assert_never

import yaml

from responder.alerts.model import RULE_LABEL
from responder.errors import Permanent
from responder.rules.conditions import AllOf, AnyOf, Comparison, Condition
from responder.rules.load import load_rules
from responder.rules.model import Rule, RuleFile
from responder.rules.promql import render
from responder.rules.quantities import Unit, format_duration, format_number
from responder.rules.routes import Receivers, render_alertmanager

__all__ = [
    "Receivers",
    "find_stale",
    "render_alertmanager",
    "render_prometheus_rules",
    "write_rendered",
]

# Source: https://prometheus.io/docs/prometheus/latest/configuration/template_reference/#numbers
_VALUE_TEMPLATE = {
    Unit.RATIO: "{{ $value | humanizePercentage }}",
    Unit.SECONDS: "{{ $value | humanizeDuration }}",
    Unit.COUNT: "{{ $value | humanize }}",
}
_LINE_WIDTH = 110
_HEADER = "# Written by `responder rules render`"
_MERGING = """\
# Merge these routes into your own configuration, first in its list, and keep your own root route: the one
# here drops every alert that is not the responder's. Needs Alertmanager 0.25 or newer.
"""


def render_prometheus_rules(file: RuleFile) -> dict[str, object]:
    """The file's Prometheus rule groups: one group, one alert for each rule that nobody else's rules fire."""
    alerts = [_render_alert(rule, file) for rule in file.rules if not rule.matchers]
    return {"groups": [{"name": file.service, "rules": alerts}]}


def _render_expression(condition: Condition, file: RuleFile) -> str:
    """The condition as a PromQL expression that yields an element while it is true."""
    match condition:
        case Comparison():
            metric = file.metrics[condition.metric]
            query = render(metric.query, file.selector, range=metric.range, quantile=metric.quantile)
            return f"({query}) {condition.operator} {format_number(condition.threshold)}"
        case AnyOf() | AllOf():
            # on() because the sides are single values that need not carry the same labels.
            joint = " or on() " if isinstance(condition, AnyOf) else " and on() "
            parts = [_render_expression(part, file) for part in condition.conditions]
            return joint.join(f"({part})" for part in parts)
        case _:
            assert_never(condition)


def _render_alert(rule: Rule, file: RuleFile) -> dict[str, object]:
    return {
        "alert": rule.alert_name,
        "expr": _render_expression(rule.condition, file),
        "for": format_duration(rule.for_),
        "labels": {"severity": rule.severity, **file.selector, RULE_LABEL: rule.id},
        "annotations": {
            "summary": f"{file.service}: {rule.condition}",
            "description": _describe(rule, file),
        },
    }


def _describe(rule: Rule, file: RuleFile) -> str:
    """A sentence with the value, which only a single comparison has."""
    lasting = f"{rule.condition} for {format_duration(rule.for_)}"
    if not isinstance(rule.condition, Comparison):
        return f"{file.workload}: {lasting}."
    metric = file.metrics[rule.condition.metric]
    return f"{file.workload}: {metric.name} is {_VALUE_TEMPLATE[metric.unit]}; the rule is {lasting}."


def write_rendered(
    rules_dir: Path, out_dir: Path, receivers: Receivers | None = None, *, force: bool = False
) -> tuple[Path, ...]:
    """Write prometheus/rules/SERVICE.yml and alertmanager/alertmanager.yml in `out_dir`; returns the paths.

    Raises RuleErrors when a rule file is wrong, and Permanent when a file is in the way that was not rendered
    (unless `force`), both before anything is written; Permanent too where nothing can be written.
    """
    rules = load_rules(rules_dir)
    texts = {
        _rules_dir(out_dir) / f"{file.service}.yml": _render_text(
            render_prometheus_rules(file), f"from {_in_folder(Path(file.path))}"
        )
        for file in rules.files
    }
    config = render_alertmanager(rules, receivers or Receivers())
    alertmanager = out_dir / "alertmanager" / "alertmanager.yml"
    sources = sorted({f"{_in_folder(Path(file.path)).parent}/" for file in rules.files})
    texts[alertmanager] = _render_text(config, f"from the files in {', '.join(sources)}", _MERGING)
    try:
        if not force:
            _refuse_foreign(texts)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Permanent(
            f"can't write {error.filename}: {error.strerror}. Give --out a folder that can be written to"
        ) from None
    return tuple(texts)


def find_stale(out_dir: Path, written: Collection[Path]) -> tuple[Path, ...]:
    """The Prometheus rules in `out_dir` that an earlier rendering wrote, and this one did not."""
    there = sorted(_rules_dir(out_dir).glob("*.yml"))
    return tuple(path for path in there if path not in written and _was_rendered(path))


def _in_folder(path: Path) -> Path:
    """The file's name behind its folder's: the same from wherever it is rendered."""
    return Path(path.absolute().parent.name, path.name)


def _rules_dir(out_dir: Path) -> Path:
    return out_dir / "prometheus" / "rules"


def _refuse_foreign(paths: Iterable[Path]) -> None:
    foreign = [str(path) for path in paths if path.exists() and not _was_rendered(path)]
    if foreign:
        raise Permanent(
            f"{', '.join(foreign)}: not written by `responder rules render`, so it is left as it is."
            " Give another --out, or --force to overwrite"
        )


def _was_rendered(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_HEADER)) == _HEADER.encode()


def _render_text(content: Mapping[str, object], origin: str, comment: str = "") -> str:
    body = yaml.safe_dump(content, sort_keys=False, width=_LINE_WIDTH, allow_unicode=True)
    return f"{_HEADER} {origin}: edit those, then render again.\n{comment}{body}"
