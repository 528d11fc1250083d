"""Fault plans: the same from the same seed, within their time, and told by what they can hit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.sandbox.api.fault_plan import Pattern, draw_plan
from responder.sandbox.api.faults import DropBefore, FaultRule, Faults, Refuse

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_gives_one_plan(seed: int) -> None:
    assert draw_plan(seed, BEGIN, MINUTE) == draw_plan(seed, BEGIN, MINUTE)
    assert draw_plan(seed, BEGIN, MINUTE) != draw_plan(seed + 1, BEGIN, MINUTE)


def test_plans_keep_to_their_time_and_their_patterns() -> None:
    pattern = Pattern("PATCH", "/deployments/")
    for seed in range(50):
        plan = draw_plan(seed, BEGIN, MINUTE, rules=4, disturbances=3, patterns=[pattern])
        assert (len(plan.rules), len(plan.disturbances)) == (4, 3)
        for rule in plan.rules:
            assert (rule.method, rule.path) == (pattern.method, pattern.path)
            assert rule.begins_at is not None
            assert rule.ends_at is not None
            assert BEGIN <= rule.begins_at <= rule.ends_at <= BEGIN + MINUTE
            assert rule.count is not None
            assert 1 <= rule.count <= 3
        times = [disturbance.at for disturbance in plan.disturbances]
        assert times == sorted(times)
        assert all(BEGIN <= at <= BEGIN + MINUTE for at in times)


def test_many_plans_have_every_kind_of_fault() -> None:
    plans = [draw_plan(seed, BEGIN, MINUTE) for seed in range(100)]
    effects = {rule.effect for plan in plans for rule in plan.rules}
    kinds = {type(effect).__name__ for effect in effects}
    codes = {effect.code for effect in effects if isinstance(effect, Refuse)}
    befalling = {type(one).__name__ for plan in plans for one in plan.disturbances}
    assert kinds == {"Refuse", "Delay", "Late", "DropBefore", "DropAfter", "Hang"}
    assert codes == {409, 429, 500, 503, 504}
    watches = {"ExpireWatches", "BreakWatches", "HangWatches", "LagWatches"}
    assert befalling == watches | {"LoseHistory", "Restart", "SkewClock"}


def test_only_writes_can_conflict() -> None:
    reads = [Pattern("GET", "/pods")]
    plans = [draw_plan(seed, BEGIN, MINUTE, patterns=reads) for seed in range(50)]
    refusals = [rule.effect for plan in plans for rule in plan.rules if isinstance(rule.effect, Refuse)]
    assert refusals
    assert all(refusal.code != 409 and not refusal.after_effect for refusal in refusals)


@pytest.mark.parametrize(
    ("seconds", "struck"),
    [(-1, False), (0, True), (9, True), (10, False)],
)
def test_a_rule_strikes_in_its_window_only(seconds: int, struck: bool) -> None:
    rule = FaultRule("*", "/pods", DropBefore(), begins_at=BEGIN, ends_at=BEGIN + timedelta(seconds=10))
    faults = Faults()
    faults.add(rule)
    at = BEGIN + timedelta(seconds=seconds)
    assert (faults.take("GET", "/api/v1/pods", at) is not None) == struck
    assert faults.take("GET", "/api/v1/pods") is None, "a request without a time is not hit by a timed rule"
    assert faults.record() == ([f"{at:%H:%M:%S.%f} GET /api/v1/pods: DropBefore()"] if struck else [])
