"""deploy/ applied to an API server: it keeps what the responder writes whole, and grants the least."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

from responder.clients.kubernetes import Forbidden, Invalid, Kubernetes, NotFound, connect, paths
from responder.incidents.decision import Choice, render_decision
from responder.incidents.model import OPEN_LABEL, AlertEntry, Incident, Status, VerdictEntry
from responder.incidents.phases import Phase
from responder.incidents.record import WorkloadRecordSpec
from responder.incidents.store import IncidentStore
from responder.sandbox.api.access import ADMIN, Tokens, service_account
from responder.sandbox.api.server import ApiServer, kubeconfig, run_server
from responder.sandbox.api.store import Store
from responder.sandbox.virtual_time import LoopClock
from responder.workloads.key import WorkloadKey
from responder.workloads.ledger import Serving
from tests.shared import run_story
from tests.unit.deploy.rendering import OVERLAY, render
from tests.unit.deploy.test_crds import plain

KEY = WorkloadKey("payments", "Deployment", "payment-service")
AT = datetime(2026, 1, 1, 12, 30, 15, 250000, tzinfo=UTC)
COLLECTIONS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}
SECRETS = "/api/v1/namespaces/payments/secrets"


class Cluster:
    """An API server to which deploy/ was applied, as the responder and as an administrator see it."""

    def __init__(self, responder: Kubernetes, admin: Kubernetes) -> None:
        self.responder = responder
        self.admin = admin
        self.store = IncidentStore(responder)


@asynccontextmanager
async def deployed(folder: Path) -> AsyncIterator[Cluster]:
    clock = LoopClock(AT)
    tokens = Tokens({"admin": ADMIN, "responder": service_account("responder", "responder")})
    async with run_server(ApiServer(Store(clock), tokens).app()) as url:
        clients = []
        for token in ("responder", "admin"):
            file = folder / token
            file.write_text(json.dumps(kubeconfig(url, token)))
            clients.append(await connect(file, clock=clock))
        cluster = Cluster(*clients)
        try:
            await apply_everything(cluster.admin)
            yield cluster
        finally:
            for client in clients:
                await client.close()


async def apply_everything(admin: Kubernetes) -> None:
    """The overlay, as kustomize renders it; the namespace of its workload is there already."""
    await admin.create(COLLECTIONS["Namespace"], {"metadata": {"name": KEY.namespace}})
    for obj in render(OVERLAY):
        collection = COLLECTIONS[obj["kind"]].format(obj["metadata"].get("namespace"))
        await admin.create(collection, obj)


def full(annotation: Any) -> Any:
    """A value of a type with every field of every model set."""
    inner = plain(annotation)
    if get_origin(inner) is tuple:
        return (full(get_args(inner)[0]),)
    if get_origin(inner) is dict:
        return {"key": full(get_args(inner)[1])}
    if get_origin(inner) is Literal:
        return get_args(inner)[0]
    if issubclass(inner, BaseModel):
        return inner(**{name: full(field.annotation) for name, field in inner.model_fields.items()})
    if issubclass(inner, VerdictEntry):
        return inner(**{name: full(hint) for name, hint in get_type_hints(inner).items()})
    if issubclass(inner, StrEnum):
        return next(iter(inner))
    return {str: "text", bool: True, int: 7, datetime: AT}[inner]


async def open_incident(store: IncidentStore) -> Incident:
    return await store.open(KEY, 1, {"0a1b": full(AlertEntry)}, AT)


def test_an_incident_is_kept_whole(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            opened = await open_incident(cluster.store)
            assert opened.spec.alerts == {"0a1b": full(AlertEntry)}
            status = full(Status).model_copy(update={"phase": Phase.OPEN})
            recorded = await cluster.store.record(opened, status)
            await cluster.store.record_told(recorded, lambda _: status)
            kept = await cluster.store.get(KEY.namespace, opened.name)
            # What did not fit is counted by the store itself; of the guards' verdicts, it was before.
            told = status.dropped.model_copy(update={"alerts": 0})
            assert kept.status == status.model_copy(update={"dropped": told})
            assert kept.spec == opened.spec
            marked = f"{OPEN_LABEL}=true"
            found = await cluster.responder.list(paths.incidents(None), label_selector=marked)
            assert [item["metadata"]["name"] for item in found.items] == [opened.name]
            await cluster.store.unmark(kept)
            found = await cluster.responder.list(paths.incidents(None), label_selector=marked)
            assert found.items == []

    run_story(story())


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_can_be_stored(phase: Phase, tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            opened = await open_incident(cluster.store)
            path = paths.status(paths.incident(KEY.namespace, opened.name))
            answer = await cluster.responder.merge_patch(path, {"status": {"phase": str(phase)}})
            assert answer["status"] == {"phase": str(phase)}

    run_story(story())


def test_a_record_is_kept_whole_and_without_what_is_unknown(tmp_path: Path) -> None:
    spec = full(WorkloadRecordSpec)
    sparse = Serving(revision=spec.servings[0].revision, seen=False)
    spec = spec.model_copy(update={"servings": (*spec.servings, sparse)})

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            made = await cluster.store.ensure_record(KEY)
            wanted = spec.model_copy(update={"workload": made.spec.workload})
            assert (await cluster.store.update_record(KEY, lambda _: wanted)).spec == wanted
            assert (await cluster.store.ensure_record(KEY)).spec == wanted
            bare = WorkloadRecordSpec(workload=made.spec.workload)
            assert (await cluster.store.update_record(KEY, lambda _: bare)).spec == bare

    run_story(story())


def test_a_decision_is_kept_whole_and_stays_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            opened = await open_incident(cluster.store)
            obj = render_decision(opened, "d1935", Choice.ROLLBACK, "alex", AT)
            made = await cluster.store.create_decision(obj)
            assert made == await cluster.store.get_decision(KEY.namespace, opened.name, "d1935")
            path = paths.decision(KEY.namespace, made.metadata.name)
            with pytest.raises(Invalid, match="given once"):
                await cluster.admin.merge_patch(path, {"spec": {"choice": "leave"}})

    run_story(story())


def test_the_workload_of_an_incident_can_not_be_changed(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            opened = await open_incident(cluster.store)
            path = paths.incident(KEY.namespace, opened.name)
            for change in ({"workload": {"name": "other"}}, {"sequence": 2}):
                with pytest.raises(Invalid, match=r"an incident (stays with|keeps) its"):
                    await cluster.responder.merge_patch(path, {"spec": change})

    run_story(story())


def test_the_service_account_reads_what_it_judges_by(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            for collection in (
                *(paths.deployments, paths.replicasets, paths.pods, paths.services, paths.endpointslices),
                *(paths.incidents, paths.decisions),
            ):
                await cluster.responder.list(collection(KEY.namespace))
            for collection in (paths.incidents, paths.decisions):
                await cluster.responder.list(collection(None))
            await cluster.responder.get(paths.namespace(KEY.namespace))

    run_story(story())


def test_the_service_account_holds_its_own_lease_and_no_other(tmp_path: Path) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
    own = leases.format("responder")

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            api = cluster.responder
            await api.create(own, {"metadata": {"name": "responder"}})
            held = await api.merge_patch(paths.named(own, "responder"), {"spec": {"holderIdentity": "one"}})
            assert await api.get(paths.named(own, "responder")) == held
            for attempt in (
                lambda: api.get(paths.named(own, "other")),
                lambda: api.merge_patch(paths.named(own, "other"), {"spec": {"holderIdentity": "one"}}),
                lambda: api.list(own),
                lambda: api.delete(paths.named(own, "responder")),
                lambda: api.create(leases.format(KEY.namespace), {"metadata": {"name": "responder"}}),
            ):
                with pytest.raises(Forbidden):
                    await attempt()

    run_story(story())


def test_the_service_account_may_do_no_more(tmp_path: Path) -> None:
    own = paths.deployment("responder", "responder")
    workload = paths.deployment(KEY.namespace, KEY.name)

    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            api = cluster.responder
            for attempt in (
                lambda: api.list(SECRETS),
                lambda: api.list(COLLECTIONS["Namespace"]),
                lambda: api.create(paths.deployments(KEY.namespace), {"metadata": {"name": "x"}}),
                lambda: api.merge_patch(f"{workload}/scale", {"spec": {"replicas": 0}}),
                lambda: api.delete(workload),
                lambda: api.get(own),
                lambda: api.merge_patch(own, {"metadata": {"labels": {"x": "y"}}}),
                lambda: api.delete(paths.named(paths.pods(KEY.namespace), "x")),
                lambda: api.delete(paths.workloadrecord(KEY.namespace, "x")),
                lambda: api.merge_patch(paths.decision(KEY.namespace, "x"), {"spec": {"choice": "leave"}}),
            ):
                with pytest.raises(Forbidden):
                    await attempt()
            with pytest.raises(NotFound):
                await api.merge_patch(workload, {"metadata": {"labels": {"x": "y"}}})

    run_story(story())
