"""Facts about a release that has to be rolled back, for tests that change one of them at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from responder.rules.conditions import Comparison, comparisons
from responder.rules.facts import Apart, Facts, Others, PodCount, Preflight, Series
from responder.rules.load import load_rules
from responder.rules.measurement import Measurement
from responder.rules.model import Rule, RuleFile
from responder.rules.storm import StormBrake, Wish
from responder.workloads.history import History, parse_history
from responder.workloads.ledger import Ledger, RevisionRef, Serving, parse_revision
from responder.workloads.revision import ReplicaSet
from responder.workloads.target import Target
from responder.workloads.views import Object
from tests.shared import CHECKOUT

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# v1 has served for a day, v2 since a quarter of an hour.
V1_FROM, V2_FROM = NOW - 24 * HOUR, NOW - 15 * MINUTE

(FILE,) = load_rules(CHECKOUT / "rules").files
RULES = {rule.name: rule for rule in FILE.rules}
ERRORS, SLOW, VERY_SLOW = RULES["high-error-rate"], RULES["slow"], RULES["very-slow"]

BRAKE = StormBrake(workloads=3, within=5 * MINUTE, wait=timedelta(seconds=10), calm=15 * MINUTE)


def template(version: str) -> Object:
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": f"app:{version}"}]}}


def replicaset(version: str, revision: int, created_at: datetime = V1_FROM, **metadata: Any) -> Object:
    labels = {"app": "a", "pod-template-hash": f"hash-{version}"}
    pods = template(version)
    pods["metadata"] = {"labels": labels}
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    return {
        "metadata": {
            "name": f"app-{version}",
            "namespace": "payments",
            "uid": f"uid-{version}",
            "creationTimestamp": created_at.isoformat(),
            "labels": labels,
            "ownerReferences": [{"kind": "Deployment", "name": "app", "uid": "uid-app", "controller": True}],
            **metadata,
            "annotations": {**annotations, **metadata.get("annotations", {})},
        },
        "spec": {"replicas": 0, "template": pods},
        "status": {},
    }


def deployment(version: str, **spec: Any) -> Object:
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "app",
            "namespace": "payments",
            "uid": "uid-app",
            "generation": 2,
            "creationTimestamp": V1_FROM.isoformat(),
        },
        "spec": {"replicas": 3, "template": template(version), **spec},
        "status": {"observedGeneration": 2},
    }


def history(current: str = "v2", *replicasets: Object, **spec: Any) -> History:
    """The Deployment on that version; without others it has v1 and v2."""
    owned = replicasets or (replicaset("v1", 1), replicaset("v2", 2, V2_FROM))
    return parse_history(deployment(current, **spec), owned)


def reference(version: str) -> RevisionRef:
    return parse_revision(ReplicaSet(replicaset(version, 1)))


def serving(version: str, first: datetime | None, ended: datetime | None = None, **more: Any) -> Serving:
    return Serving(
        revision=reference(version), seen=first is not None, first_serving_at=first, ended_at=ended, **more
    )


def ledger(*servings: Serving, **more: Any) -> Ledger:
    """v1 healthy until v2 took over, unless told otherwise."""
    healthy = {"healthy_from": V1_FROM, "healthy_until": V2_FROM}
    usual = (serving("v1", V1_FROM, V2_FROM + MINUTE, **healthy), serving("v2", V2_FROM))
    return Ledger(watched_from=V1_FROM - HOUR, servings=servings or usual, **more)


def measured(
    value: float | None, *, samples: float | None = 10_000, bad: float | None = 500, at: datetime = NOW
) -> Measurement:
    return Measurement(value=value, samples=samples, bad_samples=bad, range=5 * MINUTE, at=at)


def measurements(errors: Measurement, p95: Measurement) -> dict[Comparison, Measurement]:
    """What every rule of the reference file compares, measured so."""
    found = {"error_rate": errors, "latency_p95": p95}
    return {leaf: found[leaf.metric] for leaf in comparisons_of(FILE)}


def series(value: float, onset: datetime | None = V2_FROM + MINUTE, bad: float = 0.05) -> Series:
    """Every half minute from before the rollout until now: good, and bad from the onset on."""
    start, count = V2_FROM - 10 * MINUTE, 50
    instants = [start + n * MINUTE / 2 for n in range(count + 1)]
    return {at: bad if onset is not None and at >= onset else value for at in instants}


def counts(each: float, of: Series | None = None) -> dict[Comparison, Series]:
    """So many bad samples in every short window."""
    return dict.fromkeys(comparisons_of(FILE), dict.fromkeys(series(0.0) if of is None else of, each))


def comparisons_of(file: RuleFile) -> tuple[Comparison, ...]:
    return tuple(leaf for rule in file.rules for leaf in comparisons(rule.condition))


def apart(
    new: Measurement, new_beside: Measurement | None = None, old_beside: Measurement | None = None
) -> dict[Comparison, Apart]:
    """Every metric of the new pods now, and of both while they served beside each other."""
    return dict.fromkeys(comparisons_of(FILE), Apart(new, new_beside, old_beside))


def by_pod(
    *pods: tuple[str, float, float], revision: str = "hash-v2"
) -> dict[Comparison, tuple[PodCount, ...]]:
    """Every metric by pod: name, samples, bad ones."""
    counts = tuple(PodCount(name, revision, samples, bad) for name, samples, bad in pods)
    return dict.fromkeys(comparisons_of(FILE), counts)


def facts(
    rules: tuple[Rule, ...] = (ERRORS,), firing: tuple[Rule, ...] | None = None, **changes: Any
) -> Facts:
    """v2 fails with 5% since a minute after it began; everything speaks for a rollback to v1."""
    found = history()
    bad, target = found.by_uid("uid-v2"), found.by_uid("uid-v1")
    assert bad is not None
    assert target is not None
    base = Facts(
        now=NOW,
        incident="uid-incident",
        file=FILE,
        rules=rules,
        firing=rules if firing is None else firing,
        history=found,
        ledger=ledger(),
        bad=bad,
        target=Target(target, certain=True),
        measurements=measurements(measured(0.05), measured(0.2)),
        before=measurements(measured(0.001, bad=10, at=V2_FROM), measured(0.2, bad=10, at=V2_FROM)),
        series={"error_rate": series(0.0), "latency_p95": series(0.2, None)},
        counted=counts(500),
        apart=apart(measured(0.05)),
        by_pod=by_pod(("p1", 3_000, 150), ("p2", 3_000, 150)),
        nodes={"p1": "node-1", "p2": "node-2"},
        preflight=Preflight(),
        others=Others(BRAKE, NOW - MINUTE, (Wish(FILE.workload, NOW - MINUTE),)),
    )
    return replace(base, **changes)


def file(**policy: Any) -> RuleFile:
    """The reference file with another policy."""
    return replace(FILE, rollback=replace(FILE.rollback, **policy))
