"""The demo's rule file is the reference file, only faster."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import yaml

from responder.rules.load import load_rules
from responder.sandbox.demo.rules import (
    REFERENCE,
    SHORTENED,
    describe_shortening,
    shorten,
    write_demo_rules,
)


def test_nothing_but_the_table_is_changed() -> None:
    reference = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
    shortened = shorten(reference)
    for place in SHORTENED:
        *parents, last = place.split(".")
        before, after = reference, shortened
        for name in parents:
            before, after = before[name], after[name]
        assert after.pop(last) == SHORTENED[place]
        before.pop(last, None)
    assert shortened == reference


def test_what_the_durations_mean_to_each_other_stays(tmp_path: Path) -> None:
    (reference,) = load_rules(REFERENCE).files
    demo = write_demo_rules(tmp_path / "rules")
    assert [rule.name for rule in demo.rules] == [rule.name for rule in reference.rules]
    by_wait = sorted(reference.rules, key=lambda rule: rule.for_)
    assert sorted(demo.rules, key=lambda rule: rule.for_) == [
        next(rule for rule in demo.rules if rule.name == each.name) for each in by_wait
    ]
    for metric in demo.metrics.values():
        assert metric.onset_range < metric.range < demo.rollback.clean_gap
    assert demo.settle_time < timedelta(seconds=10)


def test_the_responder_reads_the_file_that_was_written(tmp_path: Path) -> None:
    file = write_demo_rules(tmp_path / "rules")
    assert load_rules(tmp_path / "rules").files[0].rules == tuple(rule for rule in file.rules)


def test_what_was_shortened_is_said_of_each_rule(tmp_path: Path) -> None:
    demo = write_demo_rules(tmp_path / "rules")
    said = {rule.name: describe_shortening(demo, rule.name) for rule in demo.rules}
    assert said == {
        "high-error-rate": "time is shortened: range 5m -> 10s, for 5m -> 5s",
        "slow": "time is shortened: range 5m -> 10s, for 5m -> 5s",
        "very-slow": "time is shortened: range 5m -> 10s, for 10m -> 8s",
    }
