"""What was paused around undos goes on: each pause by itself, whatever becomes of the others."""

from __future__ import annotations

from pathlib import Path

import yaml

from responder.actions.pause import pause_owner
from responder.actions.pause_plan import PAUSED_FROM
from responder.clients.kubernetes import connect
from responder.incidents.record import WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.pipeline.owned import Resuming
from responder.rules.model import RuleSet
from responder.sandbox.cluster import Cluster
from responder.sandbox.gitops import ARGO_CD, KUSTOMIZE, GitOps
from responder.sandbox.manifests import deployment
from responder.sandbox.virtual_time import LoopClock
from responder.tasks import alongside
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import PausedOwner
from responder.workloads.owners import OwnerKind
from tests.shared import CHECKOUT, run_story
from tests.unit.pipeline.test_close import AT

KEY = WorkloadKey("payments", "Deployment", "payment-service")
CRDS = CHECKOUT / "deploy" / "base" / "crds"


def paused(kind: OwnerKind, namespace: str, mark: str) -> PausedOwner:
    return PausedOwner(kind=kind, namespace=namespace, name=KEY.name, mark=mark, bad_uid="uid-bad", at=AT)


def test_a_pause_that_can_not_be_ended_keeps_no_other_one(tmp_path: Path) -> None:
    async def story() -> None:
        clock, config = LoopClock(AT), tmp_path / "kubeconfig"
        async with Cluster.start(clock=clock) as cluster:
            for path in sorted(CRDS.glob("*.yaml")):
                cluster.apply(yaml.safe_load(path.read_text(encoding="utf-8")))
            cluster.store.create("namespaces", {"metadata": {"name": KEY.namespace}}, manager="tests")
            cluster.apply(deployment(KEY.name, namespace=KEY.namespace, image="app:v1"))
            config.write_text(yaml.safe_dump(cluster.kubeconfig()), encoding="utf-8")
            lost, found = (GitOps(cluster, tool, KEY.namespace, KEY.name) for tool in (ARGO_CD, KUSTOMIZE))
            pauses = (
                paused(OwnerKind.ARGO_CD, ARGO_CD.namespace, "i.1"),
                paused(OwnerKind.KUSTOMIZATION, KUSTOMIZE.namespace, "j.1"),
            )
            kubernetes = await connect(config, clock=clock)
            for git, pause in zip((lost, found), pauses, strict=True):
                git.install()
                await pause_owner(kubernetes, pause.owner, pause.mark)
            application = lost.object
            del application["metadata"]["annotations"][PAUSED_FROM]
            cluster.store.update(ARGO_CD.key, application, manager="tests")
            store = IncidentStore(kubernetes)
            await store.ensure_record(KEY)

            def note(spec: WorkloadRecordSpec) -> WorkloadRecordSpec:
                return spec.model_copy(update={"paused": pauses})

            await store.update_record(KEY, note)
            resuming = Resuming(kubernetes, store, RuleSet(()), clock)
            resuming.note(KEY)
            async with alongside(resuming.run()):
                await clock.sleep(5)
            # What the first one did before is not made up; the other one goes on all the same.
            assert (lost.paused, found.paused) == (True, False)
            assert [each.mark for each in (await store.ensure_record(KEY)).spec.paused] == ["i.1"]
            await kubernetes.close()

    run_story(story())
