"""Situations that people and other workloads make: forbidden, decided, done before, not this one's."""

from __future__ import annotations

from datetime import timedelta

from responder.sandbox.api.faults import Delay, FaultRule, Refuse
from responder.sandbox.gitops import ARGO_CD, FLAGGER, GitOps, definition
from responder.sandbox.world import grant_workloads
from responder.workloads.views import FREEZE
from tests.flow.harness import LEAVE, NAMESPACES, Stage
from tests.flow.situations import (
    ELSEWHERE,
    MINUTE,
    SECOND,
    Situation,
    alerted,
    bad_release,
    edit,
    send,
)
from tests.flow.situations_measured import WAITING

OTHERS = ("orders", "search")


async def frozen_meanwhile(here: Stage) -> None:
    """The mark is set after the decision and before the patch."""
    # The first status that is written is the intent to undo.
    here.world.cluster.faults.add(FaultRule("PATCH", "/incidents/.*/status", Delay(3.0), count=1))
    await bad_release(here)
    await here.until(lambda: here.world.cluster.faults.taken, 4 * MINUTE, "an intent under way")
    here.annotate(NAMESPACES, "", here.world.namespace, FREEZE, "peak hours")


async def silenced(here: Stage) -> None:
    await bad_release(here)
    await alerted(here)
    here.silence()


async def undone(here: Stage) -> None:
    """A first bad release is rolled back, and closed."""
    here.world.release("v2", error_rate=0.3)
    await here.phase("Closed", 15 * MINUTE)
    assert here.status()["outcome"] == "RolledBack", here.summary()


async def again(here: Stage) -> None:
    await undone(here)
    here.world.release("v3", error_rate=0.3)


async def undo_of_an_undo(here: Stage) -> None:
    """What was brought back is bad in its turn, long after the cooldown."""
    here.world.release("v1.1")
    await here.rest(2 * MINUTE)
    await undone(here)
    await here.rest(2 * MINUTE)
    here.degrade("v1.1", error_rate=0.3)


async def left_alone(here: Stage) -> None:
    """A person decided to leave it; the alert ends and comes again."""
    here.annotate_workload(FREEZE, "audit")
    await bad_release(here)
    await here.reason("Frozen", 5 * MINUTE)
    await here.rest(5 * SECOND)
    assert (await here.click(LEAVE)).taken
    await here.phase("Closed", 5 * MINUTE)
    here.annotate_workload(FREEZE, None)
    here.degrade("v2")
    await here.rest(3 * MINUTE)
    here.degrade("v2", error_rate=0.3)


async def with_others(here: Stage) -> None:
    """A namespace for other services; that none of them runs there is of no matter."""
    metadata = {"name": ELSEWHERE}
    here.world.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    grant_workloads(here.world.cluster, ELSEWHERE)


async def trouble(here: Stage, name: str) -> None:
    """Another service's rule wants a rollback of it."""
    rule = f"{name}/high-error-rate"
    await send(here, alertname="Bad", namespace=ELSEWHERE, deployment=name, responder_rule=rule)


async def others_too(here: Stage) -> None:
    """Two more services are bad at the same time."""
    for name in OTHERS:
        await trouble(here, name)
    await bad_release(here)


async def others_just_before(here: Stage) -> None:
    """The storm is over, and the calm after it is not."""
    for name in (*OTHERS, "stock"):
        await trouble(here, name)
    await here.rest(2 * MINUTE)
    await bad_release(here)


async def managed_by_argo(here: Stage) -> None:
    world = here.world
    GitOps(world.cluster, ARGO_CD, world.namespace, world.name).install()


async def argo_not_told(here: Stage) -> None:
    here.world.cluster.faults.add(FaultRule("GET", "/applications/", Refuse(500)))
    await bad_release(here)


async def driven_by_flagger(here: Stage) -> None:
    cluster = here.world.cluster
    cluster.apply(definition(FLAGGER))
    canary = {"apiVersion": FLAGGER.api_version, "kind": FLAGGER.kind}
    metadata = {"name": here.world.name, "namespace": here.world.namespace}
    made = cluster.apply({**canary, "metadata": metadata, "spec": {}})
    owner = {**canary, "name": here.world.name, "uid": made["metadata"]["uid"], "controller": True}
    edit(here, lambda it: it["metadata"].update(ownerReferences=[owner]))


PEOPLE = (
    Situation(
        "frozen between the decision and the patch",
        "Frozen",
        "peak hours",
        frozen_meanwhile,
        guard="not_frozen",
        result="Failed",
    ),
    Situation(
        "the namespace is protected",
        "Protected",
        "is protected",
        bad_release,
        guard="not_protected",
        result="Failed",
        changes=({"workload": {"namespace": "kube-system"}},),
    ),
    Situation(
        "every alert was silenced",
        "NoAlertFires",
        "silenced",
        silenced,
        guard="still_true",
        result="Unknown",
        settings=WAITING,
    ),
    Situation(
        "a second undo in the cooldown",
        "CooldownActive",
        "inside the cooldown",
        again,
        guard="not_again",
        result="Failed",
        sequence=2,
        undos=1,
        leads=False,
    ),
    Situation(
        "an undo of an undo",
        "UndoOfUndo",
        "itself the result of the rollback",
        undo_of_an_undo,
        guard="not_again",
        result="Failed",
        changes=({"rollback": {"cooldown": "1m"}},),
        sequence=2,
        undos=1,
        leads=False,
    ),
    Situation(
        "a person decided to leave this revision alone",
        "LeftAlone",
        "decided to leave this revision alone",
        left_alone,
        guard="not_again",
        result="Failed",
        sequence=2,
        leads=False,
    ),
    Situation(
        "many workloads want a rollback at once",
        "Storm",
        "3 workloads want a rollback at once",
        others_too,
        guard="no_storm",
        result="Failed",
        others=OTHERS,
        before=with_others,
    ),
    Situation(
        "it was a storm a moment ago",
        "StormCalm",
        "it is calm for",
        others_just_before,
        guard="no_storm",
        result="Failed",
        others=(*OTHERS, "stock"),
        before=with_others,
        settings={"storm_within": timedelta(minutes=1)},
    ),
    Situation(
        "others may be about to want one as well",
        "WaitingForOthers",
        "for other workloads' alerts",
        bad_release,
        guard="no_storm",
        result="Unknown",
        settings={"storm_wait": timedelta(minutes=2)},
        untold=True,
    ),
    Situation("mode observe", "ObserveMode", "would roll back", bad_release, changes=({"mode": "observe"},)),
    Situation(
        "the rule leaves it to a person",
        "RuleAsks",
        "leaves the decision to a person",
        bad_release,
        changes=({"alerts": {"high-error-rate": {"action": "ask"}}},),
    ),
    Situation(
        "Argo CD would put the bad revision back",
        "OwnerAsks",
        "Argo CD",
        bad_release,
        guard="owner_allows",
        result="Failed",
        before=managed_by_argo,
    ),
    Situation(
        "the rule file refuses what Argo CD deploys",
        "OwnerRefused",
        "gitops: refuse",
        bad_release,
        guard="owner_allows",
        result="Failed",
        before=managed_by_argo,
        changes=({"rollback": {"gitops": "refuse"}},),
    ),
    Situation(
        "nobody can tell whether Argo CD can be paused",
        "PauseUntold",
        "can't be told",
        argo_not_told,
        guard="owner_allows",
        result="Unknown",
        before=managed_by_argo,
        changes=({"rollback": {"gitops": "pause"}},),
    ),
    Situation(
        "Flagger drives it",
        "OwnerDrives",
        "Flagger",
        bad_release,
        guard="owner_allows",
        result="Failed",
        before=driven_by_flagger,
    ),
)
