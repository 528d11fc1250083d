"""The demo's rule file: the reference file with its durations shortened, and nothing else changed.

What the durations mean to each other stays as it is. Called by the stage.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from responder.errors import ResponderError
from responder.rules.conditions import comparisons
from responder.rules.load import load_rules
from responder.rules.model import RuleFile
from responder.rules.quantities import format_duration

CHECKOUT = Path(__file__).parents[3]
REFERENCE = CHECKOUT / "rules" / "payment-service.yaml"

SHORTENED: Mapping[str, str | int] = {
    "metrics.error_rate.range": "10s",
    "metrics.error_rate.onset_range": "5s",
    "metrics.latency_p95.range": "10s",
    "metrics.latency_p95.onset_range": "5s",
    "alerts.high-error-rate.for": "5s",
    "alerts.slow.for": "5s",
    "alerts.very-slow.for": "8s",
    "rollback.clean_gap": "12s",
    "rollback.hold": "5s",
    "rollback.settle": "6s",
}
"""Every value of the reference file that the demo replaces, by its place in the file."""


def write_demo_rules(folder: Path) -> RuleFile:
    """Write the demo's rule file into the folder and return it as the responder will read it."""
    if not REFERENCE.is_file():
        raise ResponderError(f"{REFERENCE} is missing: the demo needs a checkout of the project")
    content = shorten(yaml.safe_load(REFERENCE.read_text(encoding="utf-8")))
    folder.mkdir(parents=True)
    path = folder / REFERENCE.name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    (file,) = load_rules(path).files
    return file


def describe_shortening(file: RuleFile, rule_name: str) -> str:
    """What the demo made of the durations that a rule of its file waits for, for people who watch."""
    reference = _durations(_load_reference(), rule_name)
    parts = [
        f"{what} {format_duration(reference[what])} -> {format_duration(demo)}"
        for what, demo in _durations(file, rule_name).items()
    ]
    return f"time is shortened: {', '.join(parts)}"


@cache
def _load_reference() -> RuleFile:
    (file,) = load_rules(REFERENCE).files
    return file


def _durations(file: RuleFile, rule_name: str) -> dict[str, timedelta]:
    rule = next(rule for rule in file.rules if rule.name == rule_name)
    (comparison,) = comparisons(rule.condition)
    return {"range": file.metrics[comparison.metric].range, "for": rule.for_}


def shorten(content: Mapping[str, Any]) -> dict[str, Any]:
    """The reference file's content with the values of SHORTENED in their places."""
    shortened = copy.deepcopy(dict(content))
    for place, value in SHORTENED.items():
        *parents, last = place.split(".")
        section = shortened
        for name in parents:
            section = section[name]
        section[last] = value
    return shortened
