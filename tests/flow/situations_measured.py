"""Situations that only measuring tells from a bad release: the cause lies elsewhere, or can't be told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from responder.sandbox.outage import Outage
from responder.sandbox.world import ERROR_RATE
from tests.flow.harness import Stage
from tests.flow.situations import (
    MINUTE,
    SECOND,
    Situation,
    alerted,
    bad_release,
    edit,
    furnish_gateway,
    pods_of,
    serves,
)

# Whoever waits this long for others' alerts has events come between the alert and the judgement.
WAITING = {"storm_wait": timedelta(seconds=60)}
LONG_WAITING = {"storm_wait": timedelta(minutes=4)}
# The long range shows for minutes what the short one shows no more.
LONG_RANGE: dict[str, Any] = {"metrics": {"error_rate": {"range": "3m", "onset_range": "15s"}}}
# Old and new pods serve side by side for minutes.
SLOWLY = {
    "spec": {"minReadySeconds": 90, "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}
}

GATEWAY: dict[str, Any] = {
    "metrics": {
        "gateway_down": {
            "unit": "ratio",
            "range": "30s",
            "query": "1 - avg(avg_over_time(up{$selector}[$range]))",
            "samples": "sum(count_over_time(up{$selector}[$range]))",
            "min_samples": 1,
        }
    },
    "dependencies": {
        "card-gateway": {
            "if": "gateway_down > 50%",
            "workload": {"namespace": "payments", "deployment": "card-gateway"},
        }
    },
}


async def with_gateway(here: Stage) -> None:
    furnish_gateway(here)


def prometheus(here: Stage) -> Any:
    assert here.world.prometheus is not None
    return here.world.prometheus


async def gateway_goes_down(here: Stage) -> None:
    here.world.release("v2", error_rate=0.3)
    await here.rest(5 * SECOND)
    prometheus(here).unreachable = "payments/card-gateway"


async def gateway_was_down(here: Stage) -> None:
    prometheus(here).unreachable = "payments/card-gateway"
    await here.rest(45 * SECOND)
    here.world.release("v2", error_rate=0.3)
    await here.rest(5 * SECOND)
    prometheus(here).unreachable = ""


async def old_and_new_alike(here: Stage) -> None:
    here.world.release("v2")
    await serves(here, "v2")
    for version in ("v1", "v2"):
        here.degrade(version, error_rate=0.3)


async def bad_before(here: Stage) -> None:
    here.degrade("v1", error_rate=0.3)
    await here.rest(20 * SECOND)
    here.world.release("v2", error_rate=0.3)


async def load_spike(here: Stage) -> None:
    """The release was well for minutes; then there is more to do than it can."""
    here.world.release("v2")
    await here.rest(4 * MINUTE)
    here.world.traffic.requests_per_second = 500.0
    here.degrade("v2", error_rate=0.3)


async def old_age(here: Stage) -> None:
    here.world.release("v2")
    await here.rest(4 * MINUTE)
    here.degrade("v2", error_rate=0.3)


async def lost_its_data(here: Stage) -> None:
    prometheus(here).restart_empty()
    here.world.release("v2", error_rate=0.3)


async def no_request_any_more(here: Stage) -> None:
    await bad_release(here)
    await alerted(here)
    here.world.traffic.requests_per_second = 0.0


async def stale(here: Stage) -> None:
    await bad_release(here)
    await alerted(here)
    prometheus(here).scraping = False


async def prometheus_gone(here: Stage) -> None:
    await bad_release(here)
    await alerted(here)
    prometheus(here).outage = Outage.DOWN


async def too_few(here: Stage) -> None:
    await bad_release(here)
    await alerted(here)
    here.world.traffic.requests_per_second = 0.3


async def over_by_now(here: Stage) -> None:
    """The errors end by themselves, and the alert has not noticed yet."""
    await bad_release(here)
    await alerted(here)
    here.degrade("v2")


async def target_was_bad(here: Stage) -> None:
    """Bad until a while before the release: too long ago for the onset, not for a return."""
    here.degrade("v1", error_rate=0.3)
    await here.rest(25 * SECOND)
    here.degrade("v1")
    await here.rest(100 * SECOND)
    here.world.release("v2", error_rate=0.6)


async def renamed(here: Stage) -> None:
    """What the new pods expose has other names: beside the old ones they are as if they were not there."""
    here.world.release("v2")
    await serves(here, "v2")
    prometheus(here).unreachable = "|".join(pod["metadata"]["name"] for pod in pods_of(here, "v2"))
    await here.rest(5 * SECOND)
    here.degrade("v1", error_rate=0.3)


async def one_node(here: Stage) -> None:
    here.world.release("v2")
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    pod = pods_of(here, "v2")[0]
    here.annotate("pods", here.world.namespace, pod["metadata"]["name"], ERROR_RATE, "0.3")


async def no_worse(here: Stage) -> None:
    """It was almost as bad before, just below the threshold: hardly more than chance."""
    here.degrade("v1", error_rate=0.0095)
    await here.rest(2 * MINUTE)
    here.world.release("v2", error_rate=0.0105)


async def the_newest_left_before(here: Stage) -> None:
    """The new pods were gone from service when the old ones began to fail."""
    here.world.release("v2", unready_after="10s")
    await serves(here, "v2")
    await here.rest(30 * SECOND)
    here.degrade("v1", error_rate=0.3)


async def never_ready(here: Stage) -> None:
    here.world.release("v2", never_ready="true")
    await here.rest(10 * SECOND)
    here.degrade("v1", error_rate=0.3)


async def scaled_by_its_errors(here: Stage) -> None:
    """An autoscaler answers the bad revision's load with as many pods as it may."""
    here.world.release("v2", error_rate=0.3)
    await here.rest(10 * SECOND)
    edit(here, lambda it: it["spec"].update(replicas=6))


MEASURED = (
    Situation(
        "a dependency is down",
        "DependencyBad",
        "card-gateway",
        gateway_goes_down,
        guard="dependencies_good",
        result="Failed",
        changes=(GATEWAY,),
        before=with_gateway,
    ),
    Situation(
        "a dependency was down as it began, and is back",
        "DependencyWasBad",
        "before the trouble began",
        gateway_was_down,
        guard="dependencies_good",
        result="Failed",
        changes=(GATEWAY,),
        before=with_gateway,
    ),
    Situation(
        "nobody can tell how a dependency is",
        "DependencyUnknown",
        "can't be told",
        bad_release,
        guard="dependencies_good",
        result="Unknown",
        changes=(GATEWAY,),
    ),
    Situation(
        "something that old and new pods share is down",
        "NotOnlyTheNewPods",
        "were as bad",
        old_and_new_alike,
        guard="new_pods_worse",
        result="Failed",
        plan=SLOWLY,
    ),
    Situation(
        "it was bad before the rollout",
        "OnsetBeforeRollout",
        "was already true",
        bad_before,
        guard="caused_by_rollout",
        result="Failed",
    ),
    Situation(
        "it began too long after the rollout",
        "OnsetTooLate",
        "longer than caused_within",
        old_age,
        guard="caused_by_rollout",
        result="Failed",
        changes=({"rollback": {"caused_within": "2m"}},),
    ),
    Situation(
        "a load spike",
        "LoadChanged",
        "The load may be the cause",
        load_spike,
        guard="caused_by_rollout",
        result="Unknown",
    ),
    Situation(
        "a revision that has served for longer than the rollback window",
        "OutsideRollbackWindow",
        "longer than the rollback window",
        old_age,
        guard="inside_window",
        result="Failed",
        changes=({"rollback": {"window": "3m", "caused_within": "3h"}},),
    ),
    Situation(
        "Prometheus lost its data",
        "NoDataBeforeRollout",
        "no values, or too few",
        lost_its_data,
        guard="caused_by_rollout",
        result="Unknown",
    ),
    Situation(
        "no request any more: 0/0 is not a number",
        "NotANumber",
        "no traffic",
        no_request_any_more,
        guard="still_true",
        result="Unknown",
        settings=LONG_WAITING,
    ),
    Situation(
        "Prometheus scrapes nothing any more, and what it has goes stale",
        "NoData",
        "has no value",
        stale,
        guard="still_true",
        result="Unknown",
        settings=LONG_WAITING,
    ),
    Situation(
        "nothing was measured for a while, and the long range does not show it yet",
        "DataStale",
        "nothing was measured at short range for 30s",
        stale,
        guard="still_true",
        result="Unknown",
        changes=(LONG_RANGE,),
        settings=LONG_WAITING,
    ),
    Situation(
        "Prometheus is gone",
        "PrometheusUnavailable",
        "did not answer",
        prometheus_gone,
        guard="still_true",
        result="Unknown",
        settings=WAITING,
    ),
    Situation(
        "too few requests to mean something",
        "TooFewSamples",
        "samples",
        too_few,
        guard="still_true",
        result="Unknown",
        settings=LONG_WAITING,
    ),
    Situation(
        "the errors ended by themselves",
        "ConditionFalse",
        "does not hold any more",
        over_by_now,
        guard="still_true",
        result="Failed",
        leads=False,
        untold=True,
        settings=LONG_WAITING,
    ),
    Situation(
        "the errors ended by themselves, and the long range does not show it yet",
        "OverAtShortRange",
        "not once in the last 30s",
        over_by_now,
        guard="still_true",
        result="Failed",
        changes=(LONG_RANGE,),
        settings=LONG_WAITING,
    ),
    Situation(
        "the revision to go back to was bad as well",
        "TargetWasBad",
        "was already true of",
        target_was_bad,
        guard="target_was_good",
        result="Failed",
        changes=({"metrics": {"error_rate": {"range": "2m"}}, "alerts": {"high-error-rate": {"for": "3m"}}},),
        within=10 * MINUTE,
    ),
    Situation(
        "the new pods' metric has another name",
        "NewPodsNotMeasured",
        "has no value for the pods of",
        renamed,
        guard="new_pods_worse",
        result="Unknown",
        plan=SLOWLY,
    ),
    Situation(
        "one node is bad",
        "OneNodeOnly",
        "come from pods on node",
        one_node,
        guard="not_one_node",
        result="Failed",
    ),
    Situation(
        "it was almost as bad before",
        "NewPodsNoWorse",
        "no difference that is more than chance",
        no_worse,
        guard="new_pods_worse",
        result="Failed",
        changes=({"metrics": {"error_rate": {"min_bad_samples": 1}}},),
    ),
    Situation(
        "the newest pods had left service before it began",
        "AnotherRevisionServed",
        "was the newest to serve",
        the_newest_left_before,
        guard="caused_by_rollout",
        result="Failed",
        plan=SLOWLY,
    ),
    Situation(
        "the newest revision never served",
        "RevisionNeverServed",
        "it can't be the cause",
        never_ready,
        guard="inside_window",
        result="Failed",
    ),
)
