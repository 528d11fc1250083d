"""Situations that the cluster tells: an undo would not be taken, not be carried out, or bring back worse."""

from __future__ import annotations

import copy
from typing import Any

from responder.sandbox.api.admission import Mutating, Validating
from responder.sandbox.api.faults import FaultRule, Refuse
from responder.sandbox.world import ERROR_RATE, image
from responder.workloads.views import IRREVERSIBLE
from tests.flow.harness import DEPLOYMENTS, Stage
from tests.flow.situations import (
    SECOND,
    Situation,
    alerted,
    bad_release,
    edit,
)
from tests.flow.situations_measured import WAITING

REPLICASETS = "replicasets.apps"
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "payments"}}


def of_kind(kind: str) -> dict[str, Any]:
    return {"workload": {"deployment": None, kind: "payment-service"}}


def containers(obj: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = obj["spec"]["template"]["spec"]["containers"]
    return found


async def needs_configuration(here: Stage) -> None:
    """What serves at the beginning takes its environment from a ConfigMap."""
    here.world.cluster.apply({**copy.deepcopy(CONFIG), "data": {"url": "http://ledger"}})
    source = [{"configMapRef": {"name": "app"}}]
    edit(here, lambda it: containers(it)[0].update(envFrom=source))
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)


async def configuration_removed(here: Stage) -> None:
    """v2 needs it no more, and whoever released it tidied up."""

    def without(it: dict[str, Any]) -> None:
        container = containers(it)[0]
        container.pop("envFrom")
        container["image"] = image(here.world.name, "v2")
        it["spec"]["template"]["metadata"]["annotations"][ERROR_RATE] = "0.3"

    edit(here, without)
    here.world.cluster.store.delete("configmaps", here.world.namespace, "app")


async def migration(here: Stage) -> None:
    here.world.cluster.release(
        here.world.namespace,
        here.world.name,
        image=image(here.world.name, "v2"),
        annotations={ERROR_RATE: "0.3", IRREVERSIBLE: "migrated the ledger to schema 7"},
    )


def remove_revision(here: Stage, version: str) -> None:
    name = here.revision(version)["metadata"]["name"]
    here.world.cluster.store.delete(REPLICASETS, here.world.namespace, name)


async def gone_unseen(here: Stage) -> None:
    """A release in between never served, and nothing is left that says what it did."""
    here.world.release("v2", never_ready="true")
    await here.rest(10 * SECOND)
    here.world.release("v3", error_rate=0.3, never_ready="false")
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    remove_revision(here, "v2")


async def gone_that_served(here: Stage) -> None:
    """What served just before is no longer there to go back to; what is there is older."""
    here.world.release("v2")
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    await here.rest(75 * SECOND)
    here.world.release("v3", error_rate=0.3)
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    remove_revision(here, "v2")


async def first_revision(here: Stage) -> None:
    here.degrade("v1", error_rate=0.3)


async def fix_under_way(here: Stage) -> None:
    """A person applied a fix; its controller has not seen it yet."""
    await bad_release(here)
    await alerted(here)
    here.world.cluster.controllers.stall("deployment")
    here.world.release("v3")


async def paused(here: Stage) -> None:
    await bad_release(here)
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    here.pause(True)


async def being_deleted(here: Stage) -> None:
    await bad_release(here)
    await alerted(here)
    edit(here, lambda it: it["metadata"].update(finalizers=["example.com/keep"]))
    here.world.cluster.store.delete(DEPLOYMENTS, here.world.namespace, here.world.name)


async def deleted(here: Stage) -> None:
    await bad_release(here)
    await alerted(here)
    here.world.cluster.store.delete(DEPLOYMENTS, here.world.namespace, here.world.name)


def runs(version: str, obj: dict[str, Any]) -> bool:
    return str(containers(obj)[0]["image"]).endswith(f":{version}")


async def denied(here: Stage) -> None:
    """A policy that is newer than v1 forbids its image."""
    await bad_release(here)
    here.world.cluster.admission.add(
        Validating(
            name="images.policy",
            resource=DEPLOYMENTS,
            refuse=lambda new, old: "v1 is no longer allowed" if runs("v1", new) else "",
        )
    )


async def changed_on_its_way(here: Stage) -> None:
    """An injector that is newer than v1 would make another revision of it."""

    def inject(obj: dict[str, Any]) -> dict[str, Any]:
        if runs("v1", obj):
            containers(obj)[0]["env"] = [{"name": "MESH", "value": "on"}]
        return obj

    await bad_release(here)
    here.world.cluster.admission.add(Mutating(name="mesh.injector", resource=DEPLOYMENTS, change=inject))


async def webhook_down(here: Stage) -> None:
    await bad_release(here)
    here.world.cluster.faults.add(FaultRule("PATCH", r"/deployments/.*dryRun", Refuse(500)))


async def pods_unread(here: Stage) -> None:
    await bad_release(here)
    here.world.cluster.faults.add(FaultRule("GET", r"/pods\?.*pod-template-hash", Refuse(403)))


async def on_delete(here: Stage) -> None:
    here.world.release("v2", error_rate=0.3)
    for pod in here.world.cluster.store.list("pods", here.world.namespace):
        here.world.cluster.store.delete("pods", here.world.namespace, pod["metadata"]["name"])


async def partitioned(here: Stage) -> None:
    """A second canary before the first was taken on: the pods below the partition run neither."""
    here.world.release("v2")
    await here.rest(90 * SECOND)
    here.world.release("v3", error_rate=0.6)


async def back_by_mistake(here: Stage) -> None:
    """v2 serves well; somebody deploys v1 again, which does not any more."""
    here.world.release("v2")
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    await here.rest(180 * SECOND)
    here.world.release("v1")
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    await here.rest(20 * SECOND)
    here.degrade("v1", error_rate=0.3)


async def gone_back(here: Stage) -> None:
    """Before anybody watched, v2 came, and a person went back to v1."""
    here.world.release("v2")
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
    await here.rest(10 * SECOND)
    here.world.release("v1")
    await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)


CLUSTER = (
    Situation(
        "the ConfigMap of the revision to go back to is gone",
        "ConfigurationMissing",
        "ConfigMap app",
        configuration_removed,
        guard="configuration_exists",
        result="Failed",
        before=needs_configuration,
    ),
    Situation(
        "a migration that the old code can't live with",
        "Irreversible",
        "migrated the ledger to schema 7",
        migration,
        guard="reversible",
        result="Failed",
    ),
    Situation(
        "a release in between that history no longer holds",
        "RevisionGone",
        "may have been irreversible",
        gone_unseen,
        guard="reversible",
        result="Unknown",
        settings=WAITING,
    ),
    Situation(
        "what served just before is gone from history",
        "HistoryUncertain",
        "served in between and can't be gone back to: it is gone from the history",
        gone_that_served,
        guard="target_exists",
        result="Unknown",
        settings=WAITING,
    ),
    Situation(
        "nothing to go back to",
        "NoPreviousRevision",
        "No earlier revision",
        first_revision,
        guard="target_exists",
        result="Failed",
    ),
    Situation(
        "somebody went back before anybody watched",
        "BeginningUnknown",
        "was not seen by anybody",
        first_revision,
        guard="inside_window",
        result="Unknown",
        before=gone_back,
        leads=False,
    ),
    Situation(
        "a fix is being rolled out",
        "TemplateNotObserved",
        "was changed a moment ago",
        fix_under_way,
        guard="workload_exists",
        result="Unknown",
        settings=WAITING,
    ),
    Situation(
        "the rollout is paused",
        "Paused",
        "kubectl rollout resume",
        paused,
        guard="not_paused",
        result="Failed",
    ),
    Situation(
        "the workload is being deleted",
        "WorkloadTerminating",
        "is being deleted",
        being_deleted,
        guard="workload_exists",
        result="Failed",
        settings=WAITING,
    ),
    Situation(
        "the workload is gone",
        "WorkloadNotFound",
        "There is no deployment payments/payment-service",
        deleted,
        guard="workload_exists",
        result="Failed",
        settings=WAITING,
    ),
    Situation(
        "a policy denies the revision to go back to",
        "DryRunRefused",
        "v1 is no longer allowed",
        denied,
        guard="dry_run_admitted",
        result="Failed",
    ),
    Situation(
        "a mutating webhook changes the revision to go back to",
        "DryRunChangesTemplate",
        "changes the template",
        changed_on_its_way,
        guard="dry_run_admitted",
        result="Failed",
    ),
    Situation(
        "an admission webhook is down",
        "DryRunUntold",
        "can't be told",
        webhook_down,
        guard="dry_run_admitted",
        result="Unknown",
    ),
    Situation(
        "nobody may look at the pods",
        "PodsUnknown",
        "could not be read",
        pods_unread,
        guard="not_one_node",
        result="Unknown",
    ),
    Situation(
        "a StatefulSet whose pods wait to be deleted",
        "UpdatesOnDelete",
        "OnDelete",
        on_delete,
        guard="not_paused",
        result="Failed",
        changes=(of_kind("statefulset"),),
        plan={"spec": {"updateStrategy": {"type": "OnDelete"}}},
    ),
    Situation(
        "a StatefulSet whose partition keeps pods at yet another revision",
        "PartitionHoldsBack",
        "The partition",
        partitioned,
        guard="not_paused",
        result="Failed",
        changes=(of_kind("statefulset"),),
        plan={"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}},
    ),
    Situation(
        "somebody went back to an older revision, which fails",
        "WentBack",
        "for people to decide",
        back_by_mistake,
        guard="not_again",
        result="Failed",
    ),
)
