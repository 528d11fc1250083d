"""Each guard: when it passes, fails and can't tell, one fact changed at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from responder.rules.conditions import comparisons, parse_condition
from responder.rules.facts import DependencyState, Freeze, Others, Pausing, Preflight
from responder.rules.guards.cause import find_onset
from responder.rules.guards.checklist import GUARDS, overridable
from responder.rules.measurement import Measurement
from responder.rules.model import Dependency, GitOps
from responder.rules.storm import Wish
from responder.verdicts import Result, Verdict
from responder.workloads.history import History
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import LeftAlone, RollbackDone
from responder.workloads.owners import Owner, OwnerKind
from responder.workloads.revision import ControllerRevision, ReplicaSet
from responder.workloads.target import Target
from responder.workloads.views import IRREVERSIBLE
from responder.workloads.workload import StatefulSet
from tests.unit.rules.build import (
    BRAKE,
    ERRORS,
    FILE,
    HOUR,
    MINUTE,
    NOW,
    V1_FROM,
    V2_FROM,
    VERY_SLOW,
    apart,
    by_pod,
    counts,
    facts,
    file,
    history,
    ledger,
    measured,
    measurements,
    replicaset,
    series,
    serving,
)

ARGO = Owner(OwnerKind.ARGO_CD, "argocd", "shop", "a mark")
FLUX = Owner(OwnerKind.KUSTOMIZATION, "flux-system", "apps", "a mark")
HELM = Owner(OwnerKind.HELM, "payments", "app", "a mark")
CANARY = Owner(OwnerKind.FLAGGER, "payments", "app", "a mark")
P, F, U = Result.PASSED, Result.FAILED, Result.UNKNOWN
GOOD = measured(0.2)


def owned(*owners: Owner, gitops: GitOps = GitOps.ASK, pausing: Pausing | None = None) -> dict[str, Any]:
    return {"owners": owners, "file": file(gitops=gitops), "pausing": pausing}


def done(to: str, *, ago: Any = 10 * MINUTE, automatic: bool = True) -> RollbackDone:
    return RollbackDone(
        incident="i-1",
        from_uid="uid-v0",
        to_uid=f"uid-{to}",
        at=NOW - ago,
        automatic=automatic,
        by="somebody",
    )


def left(version: str, until: Any) -> LeftAlone:
    return LeftAlone(uid=f"uid-{version}", until=until, by="slack:U0ONCALL")


def errors(value: float | None, **counts: Any) -> dict[str, Any]:
    return {"measurements": measurements(measured(value, **counts), GOOD)}


def before(value: float | None, **counts: Any) -> dict[str, Any]:
    """Asked of the metric, as the ledger never saw v1 healthy."""
    return {
        "ledger": ledger(serving("v1", V1_FROM, V2_FROM), serving("v2", V2_FROM)),
        "before": measurements(measured(value, at=V2_FROM, **{"bad": 10_000 * (value or 0), **counts}), GOOD),
    }


def rate(value: float, samples: float = 10_000) -> Measurement:
    """An error rate with its count."""
    return measured(value, samples=samples, bad=value * samples)


def beside(new: float, old: float, samples: float = 10_000) -> Any:
    """New pods and old ones while both served; the new ones are bad now in any case."""
    return apart(rate(0.05), rate(new, samples), rate(old, samples))


def slow(**changes: Any) -> dict[str, Any]:
    """A p95 above 5 s on all pods together."""
    return {
        "rules": (VERY_SLOW,),
        "measurements": measurements(measured(0.0, bad=0), measured(5.2)),
        **changes,
    }


def slow_beside(new: float, old: float) -> dict[str, Any]:
    """The same while both served, where nobody counts slow requests."""
    rated = [measured(value, bad=None) for value in (5.2, new, old)]
    return slow(apart=apart(*rated))


def slow_by_pod(*pods: tuple[str, float, float]) -> dict[str, Any]:
    return slow(by_pod=by_pod(*pods))


def stripe(
    value: float | None,
    *,
    samples: float = 10_000,
    bad_from: datetime | None = None,
    bad_until: datetime | None = None,
    bad_calls: float | None = 60.0,
) -> dict[str, Any]:
    """One dependency, bad above 5%: its rate now, and at short range bad from then or until then.

    `bad_calls` are counted in every short window, or are not known.
    """
    condition = parse_condition("error_rate > 5%", FILE.metrics)
    (leaf,) = comparisons(condition)
    instants = series(0.0)
    values = {
        at: 0.06
        if (bad_from is not None and at >= bad_from) or (bad_until is not None and at <= bad_until)
        else 0.001
        for at in instants
    }
    counted = {} if bad_calls is None else {leaf: dict.fromkeys(values, bad_calls)}
    state = DependencyState({leaf: measured(value, samples=samples)}, {"error_rate": values}, counted)
    named = replace(FILE, dependencies=(Dependency("stripe", condition, None),))
    return {"file": named, "dependencies": {"stripe": state}}


def error_series(**changes: Any) -> dict[str, Any]:
    return {"series": {"error_rate": series(0.0, **changes), "latency_p95": series(0.2, None)}}


def seen_from(start: datetime) -> dict[str, Any]:
    errors = {at: value for at, value in series(0.0).items() if at >= start}
    return {"series": {"error_rate": errors, "latency_p95": {}}}


def seen_until(end: datetime) -> dict[str, Any]:
    errors = {at: value for at, value in series(0.0).items() if at <= end}
    return {"series": {"error_rate": errors, "latency_p95": {}}}


def bad_for(duration: timedelta) -> dict[str, Any]:
    """Errors since a minute after the rollout, which ended by themselves."""
    end = V2_FROM + MINUTE + duration
    errors = {at: value if at < end else 0.0 for at, value in series(0.0).items()}
    return {"series": {"error_rate": errors, "latency_p95": series(0.2, None)}}


def failed_once(
    since: datetime,
    bad: float | None,
    *,
    lasting: timedelta = MINUTE,
    onset: datetime = V2_FROM + MINUTE,
    uncounted: bool = False,
) -> dict[str, Any]:
    """So many bad requests in a short window before the rollout, or so many of which none counts the bad."""
    errors = {at: 0.02 if since <= at < since + lasting else v for at, v in series(0.0, onset).items()}
    metrics = {name: replace(metric, bad_samples=None) for name, metric in FILE.metrics.items()}
    return {
        "series": {"error_rate": errors, "latency_p95": series(0.2, None)},
        "counted": {} if bad is None else counts(bad),
        "file": replace(FILE, metrics=metrics) if uncounted else FILE,
    }


def unlucky(bad_calls: float | None, at: datetime) -> dict[str, Any]:
    """A dependency with so many failed calls in the minute after that."""
    found = stripe(0.001, bad_calls=bad_calls)
    (state,) = found["dependencies"].values()
    rates = {when: 0.06 if at <= when < at + MINUTE else 0.001 for when in series(0.0)}
    return {**found, "dependencies": {"stripe": replace(state, series={"error_rate": rates})}}


TERMINATING = {"deletionTimestamp": NOW.isoformat()}
PLAIN = history()
REUSED = ReplicaSet(
    replicaset("v2", 3, V2_FROM, annotations={"deployment.kubernetes.io/revision-history": "2"})
)
UNSEEN = {"bad": REUSED, "ledger": ledger(serving("v1", V1_FROM), serving("v2", None))}
_FIRST = PLAIN.by_uid("uid-v1")
assert _FIRST is not None
V1 = _FIRST
V3 = ReplicaSet(replicaset("v3", 3, V2_FROM + MINUTE))
EITHER = parse_condition("error_rate > 1% OR latency_p95 > 5s", FILE.metrics)


def either(rate: Measurement, p95: Measurement) -> dict[str, Any]:
    """A rule on two metrics, measured so."""
    rule = replace(ERRORS, condition=EITHER)
    found = dict(zip(comparisons(EITHER), (rate, p95), strict=True))
    return {"rules": (rule,), "firing": (rule,), "measurements": found, "before": found}


def ahead(**found: Any) -> dict[str, Any]:
    """What the look ahead of the undo found."""
    return {"preflight": Preflight(**found)}


OWN = FILE.workload


def key(name: str) -> WorkloadKey:
    return WorkloadKey("payments", "Deployment", name)


def wanting(
    *names: str,
    ago: timedelta = MINUTE,
    received_ago: timedelta = MINUTE,
    calling: Mapping[str, WorkloadKey] = MappingProxyType({}),
    asked: bool = True,
) -> dict[str, Any]:
    """Other workloads that want a rollback since so long ago, beside this one."""
    own = Wish(OWN, NOW - received_ago)
    calls = {name: frozenset({calling[name]}) if name in calling else frozenset() for name in names}
    others = (Wish(key(name), NOW - ago, calls[name]) for name in names)
    return {"others": Others(BRAKE, own.at, (own, *others), asked=asked)}


def received(ago: timedelta) -> dict[str, Any]:
    return wanting(received_ago=ago)


NO_NUMBER: dict[str, Any] = {"annotations": {"deployment.kubernetes.io/revision": "two"}}


def released(*later: str, marked: str = "", number: int = 2, earlier: str = "") -> History:
    """v1, v2 under that number, and what came later, one of them marked irreversible."""
    numbers = {"v1": 1, "v2": number, **{version: 3 + n for n, version in enumerate(later)}}
    owned = [replicaset(version, number) for version, number in numbers.items()]
    for each in owned:
        if each["metadata"]["name"] == f"app-{marked}":
            each["spec"]["template"]["metadata"]["annotations"] = {IRREVERSIBLE: "drops a column"}
    if earlier:
        owned[1]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] = earlier
    return history("v2", *owned)


def unnumbered(version: str, *, marked: bool) -> History:
    """v1, v2, and one whose number can't be read."""
    odd = replicaset(version, 3, **NO_NUMBER)
    if marked:
        odd["spec"]["template"]["metadata"]["annotations"] = {IRREVERSIBLE: "drops a column"}
    return history("v2", replicaset("v1", 1), replicaset("v2", 2, V2_FROM), odd)


def stateful(current: str, **strategy: Any) -> History:
    """A StatefulSet of that update strategy, whose pods below a partition run the revision of that name."""
    workload = {"kind": "StatefulSet", "metadata": PLAIN.workload.raw["metadata"]}
    spec = {"updateStrategy": {"type": "RollingUpdate", **strategy}}
    return replace(
        PLAIN, workload=StatefulSet({**workload, "spec": spec, "status": {"currentRevision": current}})
    )


def brought_back(*, made_at: datetime, numbers: str) -> Any:
    """v2 with the numbers that it had before its present one, 5, made at that time by the server's clock."""
    history = {"deployment.kubernetes.io/revision-history": numbers} if numbers else {}
    return ReplicaSet(replicaset("v2", 5, made_at, annotations=history))


def of_stateful(number: int, *, older: int, made_at: datetime) -> Any:
    """v2 as the ControllerRevision of that number, with so many made before it."""
    metadata = {"name": "app-v2", "uid": "uid-v2", "creationTimestamp": made_at.isoformat()}
    return ControllerRevision({"metadata": metadata, "revision": number}, older=older)


BAD_3 = released(number=3).by_uid("uid-v2")
# Anybody may write the annotation it stands in.
BAD_HUGE = released(number=10**15).by_uid("uid-v2")

CASES: list[tuple[str, Result, str, dict[str, Any]]] = [
    ("WorkloadExists", P, "WorkloadFound", {}),
    ("WorkloadExists", F, "WorkloadNotFound", {"history": None, "bad": None, "target": None}),
    (
        "WorkloadExists",
        F,
        "WorkloadTerminating",
        {"history": replace(PLAIN, workload=replace(PLAIN.workload, raw={"metadata": TERMINATING}))},
    ),
    ("WorkloadExists", U, "TemplateNotObserved", {"bad": None, "target": None}),
    ("TargetExists", P, "TargetFound", {}),
    ("TargetExists", F, "NoPreviousRevision", {"target": None}),
    ("TargetExists", U, "HistoryUncertain", {"target": Target(V1, certain=False)}),
    ("TargetExists", U, "CurrentRevisionUnknown", {"bad": None}),
    ("TargetExists", F, "TargetWasBlamed", {"blamed": ("uid-v1",)}),
    ("TargetExists", P, "TargetFound", {"blamed": ("uid-v2",)}),
    ("TargetExists", P, "TargetFound", {"target": Target(V3, certain=True)}),
    # Whoever went back from v3 to v2, with kubectl or otherwise, may have had a reason; or made a mistake.
    ("NotAgain", F, "WentBack", {"target": Target(V3, certain=True)}),
    # The API server's clock was set back between the two; their numbers tell which came first.
    ("NotAgain", P, "FirstInCooldown", {"bad": brought_back(made_at=V1_FROM - HOUR, numbers="")}),
    ("NotAgain", P, "FirstInCooldown", {"bad": brought_back(made_at=V1_FROM - HOUR, numbers="2,3")}),
    ("NotAgain", P, "FirstInCooldown", {"bad": of_stateful(2, older=1, made_at=V1_FROM - HOUR)}),
    (
        "NotAgain",
        F,
        "WentBack",
        {
            "bad": brought_back(made_at=V2_FROM + HOUR, numbers="2"),
            "target": Target(V3, certain=True),
        },
    ),
    # One that may have been brought back is as old as its time of creation says.
    (
        "NotAgain",
        F,
        "WentBack",
        {"bad": of_stateful(5, older=0, made_at=V2_FROM), "target": Target(V3, certain=True)},
    ),
    ("NotPaused", P, "NotPaused", {}),
    ("NotPaused", F, "Paused", {"history": history(paused=True)}),
    ("NotPaused", P, "NotPaused", {"history": stateful("app-v1")}),
    ("NotPaused", F, "UpdatesOnDelete", {"history": stateful("app-v1", type="OnDelete")}),
    ("NotPaused", F, "PartitionHoldsBack", {"history": stateful("app-v2", rollingUpdate={"partition": 2})}),
    # The pods below the partition never left the target: going back there is an update like any other.
    ("NotPaused", P, "NotPaused", {"history": stateful("app-v1", rollingUpdate={"partition": 2})}),
    ("NotProtected", P, "NotProtected", {}),
    ("NotProtected", F, "Protected", {"protected": "Nothing there is rolled back."}),
    ("StillTrue", P, "ConditionTrue", {}),
    ("StillTrue", F, "ConditionFalse", errors(0.01)),
    ("StillTrue", U, "TooFewSamples", errors(0.0, samples=299)),
    ("StillTrue", U, "NoData", errors(None)),
    ("StillTrue", U, "NotANumber", errors(float("nan"))),
    ("StillTrue", U, "PrometheusUnavailable", {**errors(None), "trouble": "It answered 503."}),
    ("StillTrue", U, "TooFewSamples", errors(0.05, samples=299)),
    ("StillTrue", U, "TooFewSamples", errors(0.05, samples=None)),
    ("StillTrue", P, "ConditionTrue", errors(0.05, samples=300, bad=5)),
    ("StillTrue", U, "TooFewSamples", errors(0.05, bad=4)),
    # One side of an OR suffices, whatever the other one lacks; only its own samples count for it.
    ("StillTrue", P, "ConditionTrue", either(measured(0.05), measured(0.2, bad=0))),
    ("StillTrue", P, "ConditionTrue", either(measured(0.05), measured(None, samples=None, bad=None))),
    ("StillTrue", U, "TooFewSamples", either(measured(0.05, bad=4), measured(0.2, bad=0))),
    ("StillTrue", U, "NoAlertFires", {"firing": ()}),
    # What the long range still holds may be over, or nothing may come any more.
    ("StillTrue", F, "OverAtShortRange", bad_for(MINUTE)),
    ("StillTrue", P, "ConditionTrue", bad_for(13 * MINUTE)),
    ("StillTrue", U, "TooFewSamples", {**bad_for(MINUTE), **errors(0.05, samples=700)}),
    ("StillTrue", F, "OverAtShortRange", {**bad_for(MINUTE), **errors(0.05, samples=750)}),
    ("StillTrue", U, "DataStale", seen_until(NOW - 4 * MINUTE)),
    ("StillTrue", P, "ConditionTrue", seen_until(NOW - MINUTE)),
    ("StillTrue", U, "PrometheusUnavailable", {**seen_until(NOW - 4 * MINUTE), "trouble": "It is away."}),
    # That nothing was told at all is another guard's to say.
    ("StillTrue", P, "ConditionTrue", {"series": {}}),
    ("InsideRollbackWindow", P, "InsideRollbackWindow", {}),
    ("InsideRollbackWindow", F, "OutsideRollbackWindow", {"file": file(window=15 * MINUTE)}),
    ("InsideRollbackWindow", P, "InsideRollbackWindow", {"file": file(window=16 * MINUTE)}),
    ("InsideRollbackWindow", F, "RevisionNeverServed", {"ledger": ledger(serving("v1", V1_FROM))}),
    ("InsideRollbackWindow", U, "BeginningUnknown", UNSEEN),
    ("CausedByRollout", P, "OnsetAfterRollout", {}),
    ("CausedByRollout", F, "OnsetBeforeRollout", error_series(onset=V2_FROM - MINUTE)),
    ("CausedByRollout", F, "OnsetTooLate", {"file": file(caused_within=MINUTE / 2)}),
    ("CausedByRollout", U, "OnsetNotFound", error_series(onset=None)),
    ("CausedByRollout", U, "NoDataBeforeRollout", {"series": {}}),
    ("CausedByRollout", U, "PrometheusUnavailable", {"series": {}, "trouble": "It is away."}),
    # One good sample is no clean gap; half of it is.
    ("CausedByRollout", U, "NoDataBeforeRollout", seen_from(V2_FROM - MINUTE / 2)),
    ("CausedByRollout", U, "NoDataBeforeRollout", seen_from(V2_FROM - 4 * MINUTE)),
    ("CausedByRollout", P, "OnsetAfterRollout", seen_from(V2_FROM - 5 * MINUTE)),
    ("CausedByRollout", U, "BeginningUnknown", UNSEEN),
    # One failed request of few is chance, as long as it does not go on into the trouble.
    ("CausedByRollout", P, "OnsetAfterRollout", failed_once(V2_FROM - 5 * MINUTE, 1)),
    ("CausedByRollout", P, "OnsetAfterRollout", failed_once(V2_FROM - 5 * MINUTE, 4)),
    ("CausedByRollout", F, "OnsetBeforeRollout", failed_once(V2_FROM - 5 * MINUTE, 5)),
    ("CausedByRollout", F, "OnsetBeforeRollout", failed_once(V2_FROM - 5 * MINUTE, 3, lasting=2 * MINUTE)),
    ("CausedByRollout", U, "OnsetMayBeBefore", failed_once(V2_FROM - 5 * MINUTE, None)),
    ("CausedByRollout", U, "OnsetMayBeBefore", failed_once(V2_FROM - 5 * MINUTE, 1, uncounted=True)),
    ("CausedByRollout", F, "OnsetBeforeRollout", failed_once(V2_FROM - 5 * MINUTE, 300, uncounted=True)),
    ("CausedByRollout", P, "OnsetAfterRollout", failed_once(V2_FROM - MINUTE, 1)),
    ("CausedByRollout", U, "OnsetMayBeBefore", failed_once(V2_FROM - MINUTE, 1, onset=V2_FROM)),
    (
        "CausedByRollout",
        F,
        "AnotherRevisionServed",
        {"ledger": ledger(serving("v2", V2_FROM), serving("v1", V2_FROM + MINUTE / 2))},
    ),
    ("NewPodsWorse", P, "NewPodsWorse", {}),
    ("NewPodsWorse", P, "NewPodsWorse", {"apart": beside(0.05, 0.001)}),
    # As bad as each other while both served: what both rest on is broken.
    ("NewPodsWorse", F, "NotOnlyTheNewPods", {"apart": beside(0.05, 0.05)}),
    ("NewPodsWorse", F, "NotOnlyTheNewPods", {"apart": beside(0.0, 0.05)}),
    # Both above the threshold, but the new ones far more: going back helps.
    ("NewPodsWorse", P, "NewPodsWorse", {"apart": beside(0.4, 0.012)}),
    # Going back to what is bad as well helps nobody: only where it is nearly well.
    ("NewPodsWorse", F, "NotOnlyTheNewPods", {"apart": beside(0.08, 0.05)}),
    ("NewPodsWorse", F, "NotOnlyTheNewPods", {"apart": beside(0.4, 0.041)}),
    ("NewPodsWorse", P, "NewPodsWorse", {"apart": beside(0.4, 0.04)}),
    # Where nobody counts bad ones, the values alone have to tell it.
    ("NewPodsWorse", F, "NotOnlyTheNewPods", slow_beside(5.21, 5.20)),
    ("NewPodsWorse", F, "NotOnlyTheNewPods", slow_beside(51.9, 5.20)),
    ("NewPodsWorse", P, "NewPodsWorse", slow_beside(52.0, 5.20)),
    ("NewPodsWorse", P, "NewPodsWorse", slow_beside(5.21, 0.20)),
    # Neither was bad yet, or the old ones had too few requests to tell: the target's own level counts.
    ("NewPodsWorse", P, "NewPodsWorse", {"apart": beside(0.001, 0.001)}),
    ("NewPodsWorse", P, "NewPodsWorse", {"apart": beside(0.05, 0.05, samples=20)}),
    ("NewPodsWorse", F, "NewPodsNoWorse", {"apart": apart(rate(0.011)), **before(0.0099)}),
    ("NewPodsWorse", U, "NothingToCompareWith", before(None)),
    ("NewPodsWorse", P, "NotSplitByRevision", {"apart": apart(measured(None)), "by_pod": {}}),
    ("NewPodsWorse", U, "NewPodsNotMeasured", {"apart": apart(measured(None))}),
    ("NewPodsWorse", U, "PrometheusUnavailable", {"apart": apart(measured(None)), "trouble": "It is away."}),
    ("NewPodsWorse", U, "RevisionsUnknown", {"apart": {}}),
    ("NewPodsWorse", U, "NothingToCompare", errors(0.001)),
    ("NewPodsWorse", U, "PrometheusUnavailable", {**errors(None), "trouble": "It is away."}),
    ("NotOneNode", P, "SeveralNodes", {}),
    ("NotOneNode", F, "OneNodeOnly", {"by_pod": by_pod(("p1", 3_000, 300), ("p2", 3_000, 0))}),
    ("NotOneNode", F, "OneNodeOnly", {"by_pod": by_pod(("p1", 3_000, 300), ("p2", 3_000, 3))}),
    ("NotOneNode", P, "SeveralNodes", {"by_pod": by_pod(("p1", 3_000, 300), ("p2", 3_000, 60))}),
    ("NotOneNode", U, "TooFewSamplesElsewhere", {"by_pod": by_pod(("p1", 3_000, 300), ("p2", 40, 0))}),
    # Elsewhere there is the usual background, and without the one node no rule would be broken.
    ("NotOneNode", F, "OneNodeOnly", {"by_pod": by_pod(("p1", 10_000, 200), ("p2", 10_000, 30))}),
    ("NotOneNode", P, "SeveralNodes", {"by_pod": by_pod(("p1", 10_000, 200), ("p2", 10_000, 110))}),
    # As bad elsewhere, so far as that can be told; or too few requests there to say that it is well.
    ("NotOneNode", P, "SeveralNodes", {"by_pod": by_pod(("p1", 1_000, 11), ("p2", 1_000, 9))}),
    ("NotOneNode", P, "SeveralNodes", {"by_pod": by_pod(("p1", 10_000, 200), ("p2", 290, 2))}),
    # Of a p95, 5% may be above the threshold.
    ("NotOneNode", F, "OneNodeOnly", slow_by_pod(("p1", 10_000, 2_000), ("p2", 10_000, 300))),
    ("NotOneNode", P, "SeveralNodes", slow_by_pod(("p1", 10_000, 2_000), ("p2", 10_000, 600))),
    # The old revision's pods are not what is judged here.
    ("NotOneNode", P, "NotSplitByPod", {"by_pod": by_pod(("p1", 3_000, 300), revision="hash-v1")}),
    ("NotOneNode", F, "OneNodeOnly", {"by_pod": by_pod(("p1", 900, 90), ("p2", 900, 0), revision="")}),
    # A pod that is gone since is taken for one from elsewhere.
    ("NotOneNode", P, "SeveralNodes", {"by_pod": by_pod(("p1", 900, 90), ("p0", 900, 90))}),
    ("NotOneNode", P, "OneNodeAlone", {"nodes": {"p1": "node-1", "p2": "node-1"}}),
    ("NotOneNode", P, "NotSplitByPod", {"by_pod": {}}),
    ("NotOneNode", U, "PrometheusUnavailable", {"by_pod": {}, "trouble": "It is away."}),
    ("NotOneNode", U, "PodsUnknown", {"nodes": None}),
    ("NotOneNode", U, "NothingToCompare", errors(0.001)),
    ("DependenciesGood", P, "NoDependencies", {}),
    ("DependenciesGood", P, "DependenciesGood", stripe(0.001)),
    ("DependenciesGood", F, "DependencyBad", stripe(0.06)),
    ("DependenciesGood", F, "DependencyBad", stripe(0.06, samples=20)),
    ("DependenciesGood", F, "DependencyWasBad", stripe(0.001, bad_until=V2_FROM + MINUTE)),
    # Its own threshold is crossed a step later than the service's.
    ("DependenciesGood", F, "DependencyWasBad", stripe(0.001, bad_from=V2_FROM + 1.5 * MINUTE)),
    # One failed call is chance, and so are four that are counted in two windows each.
    ("DependenciesGood", P, "DependenciesGood", unlucky(1, V2_FROM)),
    ("DependenciesGood", P, "DependenciesGood", unlucky(4, V2_FROM)),
    ("DependenciesGood", F, "DependencyWasBad", unlucky(5, V2_FROM)),
    ("DependenciesGood", U, "DependencyMayHaveBeenBad", unlucky(None, V2_FROM)),
    # Over for a clean gap by then, or begun by the trouble itself and over again: no cause.
    ("DependenciesGood", P, "DependenciesGood", stripe(0.001, bad_until=V2_FROM - 9.5 * MINUTE)),
    ("DependenciesGood", P, "DependenciesGood", stripe(0.001, bad_from=V2_FROM + 2 * MINUTE)),
    ("DependenciesGood", U, "DependencyUnknown", stripe(0.001, samples=20)),
    ("DependenciesGood", U, "DependencyUnknown", stripe(None)),
    ("DependenciesGood", U, "DependencyUnknown", {**stripe(0.001), "dependencies": {}}),
    ("TargetWasGood", P, "TargetSeenHealthy", {}),
    ("TargetWasGood", U, "TargetUnknown", {"target": None}),
    ("TargetWasGood", P, "TargetWasGood", before(0.001)),
    ("TargetWasGood", P, "TargetWasGood", before(0.001, bad=0)),
    ("TargetWasGood", F, "TargetWasBad", before(0.02)),
    ("TargetWasGood", U, "TargetHealthUnknown", before(None)),
    ("TargetWasGood", U, "PrometheusUnavailable", {**before(None), "trouble": "It is away."}),
    ("TargetWasGood", U, "TargetTooFewSamples", before(0.001, samples=10)),
    (
        "TargetWasGood",
        F,
        "TargetWasBad",
        {  # It was healthy once, but not until the rollout.
            **before(0.02),
            "ledger": ledger(
                serving("v1", V1_FROM, V2_FROM, healthy_until=V2_FROM - 11 * MINUTE), serving("v2", V2_FROM)
            ),
        },
    ),
    ("NotAgain", P, "FirstInCooldown", {}),
    ("NotAgain", F, "CooldownActive", {"ledger": ledger(rollbacks=(done("v1"),))}),
    ("NotAgain", P, "FirstInCooldown", {"ledger": ledger(rollbacks=(done("v1", ago=HOUR),))}),
    ("NotAgain", P, "FirstInCooldown", {"ledger": ledger(rollbacks=(done("v1", automatic=False),))}),
    ("NotAgain", F, "UndoOfUndo", {"ledger": ledger(rollbacks=(done("v2", ago=5 * HOUR),))}),
    ("NotAgain", F, "LeftAlone", {"ledger": ledger(left_alone=(left("v2", NOW + MINUTE),))}),
    ("NotAgain", P, "FirstInCooldown", {"ledger": ledger(left_alone=(left("v2", NOW),))}),
    ("NotAgain", P, "FirstInCooldown", {"ledger": ledger(left_alone=(left("v1", NOW + MINUTE),))}),
    ("NotFrozen", P, "NotFrozen", {}),
    ("NotFrozen", F, "Frozen", {"freezes": (Freeze("everything", ""),)}),
    ("Reversible", P, "Reversible", {}),
    ("Reversible", F, "Irreversible", {"history": released(marked="v2")}),
    ("Reversible", F, "Irreversible", {"history": released("v3", marked="v2")}),
    # What the target itself did stays done.
    ("Reversible", P, "Reversible", {"history": released(marked="v1")}),
    ("Reversible", U, "RevisionGone", {"history": released(number=3), "bad": BAD_3}),
    ("Reversible", U, "RevisionGone", {"history": released(number=10**15), "bad": BAD_HUGE}),
    # Whose number nobody can read may be as new as any.
    ("Reversible", F, "Irreversible", {"history": unnumbered("v3", marked=True)}),
    ("Reversible", P, "Reversible", {"history": unnumbered("v3", marked=False)}),
    # It was brought back: its old number is missing, and is nobody else's.
    ("Reversible", P, "Reversible", {"history": released(number=3, earlier="2"), "bad": BAD_3}),
    ("Reversible", U, "RevisionsUnknown", {"target": None}),
    ("ConfigurationExists", P, "ConfigurationExists", {}),
    ("ConfigurationExists", F, "ConfigurationMissing", ahead(missing=("ConfigMap app",))),
    # What nobody may look at is said, and holds nothing.
    ("ConfigurationExists", P, "ConfigurationExists", ahead(unseen=("Secret app",))),
    ("ConfigurationExists", U, "ConfigurationUnseen", ahead(unread=("ConfigMap app",))),
    ("ConfigurationExists", F, "ConfigurationMissing", ahead(missing=("key a",), unread=("ConfigMap b",))),
    ("ConfigurationExists", U, "TargetUnknown", {"target": None, "preflight": None}),
    ("DryRunAdmitted", P, "DryRunAdmitted", {}),
    ("DryRunAdmitted", F, "DryRunRefused", ahead(refusal="Quota says no.")),
    ("DryRunAdmitted", F, "DryRunChangesTemplate", ahead(changed=True)),
    ("DryRunAdmitted", U, "DryRunUntold", ahead(untold="A webhook does not support dry runs.")),
    ("DryRunAdmitted", U, "NotTried", ahead(tried=False)),
    ("OwnerAllows", P, "Unmanaged", {}),
    ("OwnerAllows", U, "DriversUnseen", {"drivers_seen": False}),
    ("OwnerAllows", F, "OwnerAsks", owned(ARGO)),
    ("OwnerAllows", F, "OwnerAsks", owned(HELM, gitops=GitOps.PAUSE)),
    ("OwnerAllows", F, "OwnerAsks", owned(ARGO, FLUX, gitops=GitOps.PAUSE)),
    ("OwnerAllows", F, "OwnerRefused", owned(ARGO, gitops=GitOps.REFUSE)),
    ("OwnerAllows", F, "OwnerDrives", owned(CANARY)),
    ("OwnerAllows", F, "OwnerDrives", owned(CANARY, FLUX, gitops=GitOps.PAUSE)),
    ("OwnerAllows", P, "OwnerWillBePaused", owned(FLUX, gitops=GitOps.PAUSE, pausing=Pausing())),
    ("OwnerAllows", P, "OwnerStandsStill", owned(FLUX, gitops=GitOps.PAUSE, pausing=Pausing(needed=False))),
    ("OwnerAllows", F, "OwnerNotPausable", owned(FLUX, gitops=GitOps.PAUSE, pausing=Pausing(refusal="No."))),
    ("OwnerAllows", U, "PauseUntold", owned(FLUX, gitops=GitOps.PAUSE, pausing=Pausing(untold="Away."))),
    ("OwnerAllows", U, "PauseUntold", owned(FLUX, gitops=GitOps.PAUSE)),
    ("NoStorm", P, "NoStorm", {}),
    ("NoStorm", P, "NoStorm", wanting("a")),
    ("NoStorm", F, "Storm", wanting("a", "b")),
    # Who alerts because it calls the bad one does not count, by its own rule file.
    ("NoStorm", P, "NoStorm", wanting("a", "b", calling={"b": OWN})),
    ("NoStorm", P, "NoStorm", wanting("a", "b", calling={"b": key("a")})),
    # Who calls each other is no other's caller.
    ("NoStorm", F, "Storm", wanting("a", "b", calling={"a": key("b"), "b": key("a")})),
    ("NoStorm", P, "NoStorm", wanting("a", "b", calling={"a": OWN, "b": OWN})),
    ("NoStorm", F, "StormCalm", wanting("a", "b", "c", ago=15 * MINUTE)),
    ("NoStorm", P, "NoStorm", wanting("a", "b", "c", ago=20 * MINUTE)),
    # Each by itself, further apart than a storm's are.
    ("NoStorm", P, "NoStorm", wanting("a", "b", ago=7 * MINUTE)),
    ("NoStorm", U, "WaitingForOthers", received(timedelta(seconds=9))),
    ("NoStorm", P, "NoStorm", received(timedelta(seconds=10))),
    # Too early or not, a storm is one.
    ("NoStorm", F, "Storm", wanting("a", "b", received_ago=timedelta(seconds=1))),
    ("NoStorm", U, "PrometheusUnavailable", wanting("a", asked=False)),
    ("NoStorm", U, "OthersUnknown", {"others": None}),
    ("Reversible", U, "RevisionsUnknown", {"bad": ReplicaSet(replicaset("v2", 2, V2_FROM, **NO_NUMBER))}),
]


def verdict_of(check: str, changes: dict[str, Any]) -> Verdict:
    verdicts = {verdict.check: verdict for verdict in (guard(facts(**changes)) for guard in GUARDS)}
    return verdicts[check]


@pytest.mark.parametrize(("check", "result", "reason", "changes"), CASES)
def test_guard(check: str, result: Result, reason: str, changes: dict[str, Any]) -> None:
    verdict = verdict_of(check, changes)
    assert (verdict.result, verdict.reason) == (result, reason), verdict.message
    assert verdict.message.endswith(".")


def test_every_guard_is_seen_to_pass_and_not_to_pass() -> None:
    passing = {check for check, result, _, _ in CASES if result is P}
    failing = {check for check, result, _, _ in CASES if result is not P}
    assert passing == failing == {guard(facts()).check for guard in GUARDS}


def test_a_person_may_overrule_all_but_what_makes_no_sense() -> None:
    never = {"WorkloadExists", "NotPaused", "NotProtected"}
    for check, _, reason, changes in CASES:
        verdict = verdict_of(check, changes)
        if verdict.passed:
            continue
        expected = check not in never and reason not in ("OwnerRefused", "OwnerDrives")
        if check in ("TargetExists", "ConfigurationExists", "DryRunAdmitted"):
            expected = verdict.result is U and reason != "CurrentRevisionUnknown"
        assert overridable(verdict) is expected, verdict


def test_the_onset_is_that_of_the_present_trouble() -> None:
    values = dict(series(0.0, NOW - 2 * MINUTE))
    values[V2_FROM + MINUTE] = 0.5
    hiccup = facts(series={"error_rate": values})
    assert find_onset(replace(hiccup, file=file(clean_gap=5 * MINUTE))) == NOW - 2 * MINUTE
    # What is nearer than a clean gap belongs together.
    assert find_onset(replace(hiccup, file=file(clean_gap=13 * MINUTE))) == V2_FROM + MINUTE
    assert find_onset(facts(**error_series(onset=None))) is None


def test_a_short_range_that_holds_no_two_scrapes_is_named() -> None:
    scraped_seldom = verdict_of("CausedByRollout", {"series": {}}).message
    assert "Of error_rate over 5m it has some" in scraped_seldom
    assert "onset_range, 1m, has to be at least twice the scrape interval" in scraped_seldom
    nothing = {"series": {}, "before": measurements(measured(None), measured(None))}
    assert "onset_range" not in verdict_of("CausedByRollout", nothing).message


def test_a_clock_that_was_set_back_is_named_where_numbers_tell_nothing() -> None:
    stateful_bad = of_stateful(5, older=0, made_at=V1_FROM - HOUR)
    assert "or that clock was set back" in verdict_of("NotAgain", {"bad": stateful_bad}).message
    went_back = verdict_of("NotAgain", {"target": Target(V3, certain=True)})
    assert went_back.message.startswith("Somebody went back from app-v3 to the older app-v2.")
    assert overridable(went_back)


def test_what_is_known_to_have_served_in_between_is_named() -> None:
    between = Target(V1, certain=False, between=serving("v3", V2_FROM), why_not="was rolled back as bad")
    assert verdict_of("TargetExists", {"target": between}).message == (
        "Revision app-v1 is the likely one to go back to, but app-v3 served in between and can't be gone back"
        " to: it was rolled back as bad."
    )
    unseen = verdict_of("TargetExists", {"target": Target(V1, certain=False)}).message
    assert unseen.endswith("but nobody saw what served in between.")


def test_evidence_says_what_was_asked_and_what_came() -> None:
    said = verdict_of("StillTrue", {}).evidence
    assert (said["error_rate"], said["error_rate_threshold"], said["error_rate_samples"]) == (
        0.05,
        0.01,
        10_000,
    )
    assert 'payment_errors_total{namespace="payments",deployment="payment-service"}[5m]' in str(
        said["error_rate_query"]
    )
    assert said["since"] == (V2_FROM + MINUTE).isoformat()
    began = verdict_of("CausedByRollout", {}).evidence
    assert (began["error_rate"], began["error_rate_threshold"]) == (0.05, 0.01)
    assert began["onset"] == said["since"]
    assert 'payment_errors_total{namespace="payments"' in str(began["error_rate_query"])
    was_bad = verdict_of("TargetWasGood", before(0.02)).evidence
    assert (was_bad["error_rate"], was_bad["error_rate_threshold"]) == (0.02, 0.01)
    assert was_bad["error_rate_samples"]
    calls = verdict_of("DependenciesGood", stripe(0.06)).evidence
    assert (calls["dependency"], calls["stripe/error_rate"], calls["stripe/error_rate_threshold"]) == (
        "stripe",
        0.06,
        0.05,
    )


def test_nothing_is_undone_that_would_not_roll() -> None:
    found = verdict_of("NotPaused", {"history": stateful("app-v1", type="OnDelete")})
    assert (found.reason, overridable(found)) == ("UpdatesOnDelete", False)
