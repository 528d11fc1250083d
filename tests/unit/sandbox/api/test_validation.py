"""What the real API server refuses in built-in objects is refused here, with the field named, and no less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from responder.sandbox.api.store import Object, Store
from tests.shared import run_story
from tests.unit.sandbox.api.client import JSON_PATCH, MERGE_PATCH, serving

MakeStore = Callable[[], Store]
MakeObject = Callable[..., Object]

NAMESPACE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
CONTAINER = "/spec/template/spec/containers/0"
OWNER = {"apiVersion": "v1", "kind": "Owner", "name": "a", "uid": "1", "controller": True}


def template(**spec: Any) -> Object:
    containers = [{"name": "app", "image": "registry.example/app:1"}]
    return {"metadata": {"labels": {"app": "odd"}}, "spec": {"containers": containers, **spec}}


def workload(**spec: Any) -> Object:
    selector = {"matchLabels": {"app": "odd"}}
    return {"metadata": {"name": "odd"}, "spec": {"selector": selector, "template": template(), **spec}}


def expressions(*terms: Object) -> Object:
    return workload(selector={"matchLabels": {"app": "odd"}, "matchExpressions": list(terms)})


@pytest.mark.parametrize(
    ("plural", "manifest", "field"),
    [
        (
            "deployments",
            expressions({"key": "app", "operator": "Bogus"}),
            "spec.selector.matchExpressions[0].operator",
        ),
        (
            "deployments",
            expressions({"key": "app", "operator": "In", "values": []}),
            "spec.selector.matchExpressions[0].values",
        ),
        (
            "replicasets",
            expressions({"key": "app", "operator": "Exists", "values": ["odd"]}),
            "spec.selector.matchExpressions[0].values",
        ),
        (
            "statefulsets",
            expressions({"key": "a b", "operator": "DoesNotExist"}),
            "spec.selector.matchExpressions[0].key",
        ),
        (
            "daemonsets",
            expressions({"key": "app", "operator": "NotIn", "values": ["a/b"]}),
            "spec.selector.matchExpressions[0].values[0]",
        ),
        # Every term counts, or a Deployment would make ReplicaSets that it does not find.
        (
            "deployments",
            expressions({"key": "tier", "operator": "Exists"}),
            "spec.template.metadata.labels",
        ),
        (
            "daemonsets",
            workload(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "many"}}),
            "spec.updateStrategy.rollingUpdate.maxUnavailable",
        ),
        (
            "daemonsets",
            workload(updateStrategy={"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}),
            "spec.updateStrategy.rollingUpdate.maxSurge",
        ),
        ("daemonsets", workload(updateStrategy={"type": "Rolling"}), "spec.updateStrategy"),
        ("statefulsets", workload(updateStrategy={"type": "Rolling"}), "spec.updateStrategy"),
        (
            "statefulsets",
            workload(updateStrategy={"rollingUpdate": {"partition": -1}}),
            "spec.updateStrategy.rollingUpdate.partition",
        ),
        ("statefulsets", workload(podManagementPolicy="Any"), "spec.podManagementPolicy"),
    ],
)
def test_a_workload_that_makes_no_sense_is_422(
    make_store: MakeStore, plural: str, manifest: Object, field: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            answer = await client.ask("POST", f"{APPS}/{plural}", manifest)
            assert answer.status == 422, answer.body
            assert field in [cause["field"] for cause in answer.body["details"]["causes"]]
            assert (await client.ask("GET", f"{APPS}/{plural}/odd")).status == 404

    run_story(story())


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            f"{CONTAINER}/volumeMounts",
            [{"name": "no", "mountPath": "/x"}],
            'volumeMounts[0].name: Not found: "no"',
        ),
        (f"{CONTAINER}/imagePullPolicy", "Sometimes", "imagePullPolicy: Unsupported value"),
        (f"{CONTAINER}/ports", [{"containerPort": 99999}], "containerPort: Invalid value: 99999"),
        (
            f"{CONTAINER}/readinessProbe",
            {"periodSeconds": -1},
            "readinessProbe.periodSeconds: Invalid value: -1",
        ),
        (
            f"{CONTAINER}/resources",
            {"limits": {"cpu": "lots"}},
            "quantities must match the regular expression",
        ),
        (
            f"{CONTAINER}/resources",
            {"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}},
            'resources.requests: Invalid value: "1500m": must be less than or equal to cpu limit of 1',
        ),
        (
            "/metadata/ownerReferences",
            [OWNER, {**OWNER, "uid": "2"}],
            "Only one reference can have Controller",
        ),
        ("/metadata/finalizers", ["bad name"], "metadata.finalizers: Invalid value"),
        ("/metadata/finalizers", ["bare"], "metadata.finalizers[0]: Invalid value"),
        ("/metadata/creationTimestamp", "yesterday", "cannot parse"),
    ],
)
def test_a_deployment_cannot_become_what_makes_no_sense(
    make_store: MakeStore, make_deployment: MakeObject, path: str, value: Any, words: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", f"{APPS}/deployments", make_deployment())
            patch = [{"op": "add", "path": path, "value": value}]
            one = f"{APPS}/deployments/payment-service"
            answer = await client.ask("PATCH", one, patch, content_type=JSON_PATCH)
            assert answer.status == 422, answer.body
            assert words in answer.body["message"]

    run_story(story())


def test_a_sensible_pod_template_passes(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            container = {
                "name": "app",
                "image": "registry.example/app:1",
                "ports": [{"containerPort": 8080, "hostPort": 8080, "protocol": "UDP"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "resources": {"limits": {"cpu": "1e0", "memory": "1Gi"}, "requests": {"cpu": "1000m"}},
                "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 1, "successThreshold": 2},
            }
            pod = template(containers=[container], volumes=[{"name": "data"}])
            chosen = {"key": "app", "operator": "In", "values": ["odd", "even"]}
            manifest = workload(template=pod, selector={"matchExpressions": [chosen]})
            manifest["metadata"]["finalizers"] = ["example.dev/hold"]
            answer = await client.ask("POST", f"{APPS}/deployments", manifest)
            assert answer.status == 201, answer.body

    run_story(story())


POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app", "image": "a:1"}]}}
SERVICE = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
SLICE = {
    "metadata": {"name": "e"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
    "ports": [],
}
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
BINDING = {"metadata": {"name": "b"}, "roleRef": ROLE, "subjects": []}
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
REVISION = {"metadata": {"name": "c"}, "data": {"spec": {"a": 1}}, "revision": 1}


@pytest.mark.parametrize(
    ("collection", "manifest", "patch", "field"),
    [
        (f"{NAMESPACE}/pods", POD, {"spec": {"nodeName": "node-9"}}, "spec"),
        (
            f"{NAMESPACE}/pods",
            POD,
            {"spec": {"containers": [{"name": "app", "image": "a:1", "command": ["x"]}]}},
            "spec",
        ),
        (f"{NAMESPACE}/services", SERVICE, {"spec": {"clusterIP": "10.96.0.99"}}, "spec.clusterIPs[0]"),
        (SLICES, SLICE, {"addressType": "FQDN"}, "addressType"),
        (f"{RBAC}/rolebindings", BINDING, {"roleRef": {**ROLE, "name": "other"}}, "roleRef"),
        (f"{APPS}/controllerrevisions", REVISION, {"data": {"spec": {"a": 2}}}, "data"),
    ],
)
def test_what_is_fixed_cannot_be_changed(
    make_store: MakeStore, collection: str, manifest: Object, patch: Object, field: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            created = await client.ask("POST", collection, manifest)
            assert created.status == 201, created.body
            one = f"{collection}/{manifest['metadata']['name']}"
            answer = await client.ask("PATCH", one, patch, content_type=MERGE_PATCH)
            assert answer.status == 422, answer.body
            assert [cause["field"] for cause in answer.body["details"]["causes"]] == [field]
            label = {"metadata": {"labels": {"a": "b"}}}
            assert (await client.ask("PATCH", one, label, content_type=MERGE_PATCH)).status == 200

    run_story(story())


def test_a_pods_image_may_change_and_a_binding_gives_it_a_node(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", f"{NAMESPACE}/pods", POD)
            image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "a:2"}]
            one = f"{NAMESPACE}/pods/p"
            assert (await client.ask("PATCH", one, image, content_type=JSON_PATCH)).status == 200
            binding = {"target": {"kind": "Node", "name": "node-1"}}
            assert (await client.ask("POST", f"{one}/binding", binding)).status == 201
            assert (await client.ask("GET", one)).body["spec"]["nodeName"] == "node-1"

    run_story(story())


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"podIPs": [{"ip": "bogus"}]}, "status.podIPs[0]: Invalid value"),
        (
            {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "yesterday"}]},
            "cannot parse",
        ),
    ],
)
def test_a_pods_status_that_no_kubelet_writes_is_422(
    make_store: MakeStore, status: Object, words: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", f"{NAMESPACE}/pods", POD)
            where = f"{NAMESPACE}/pods/p/status"
            answer = await client.ask("PATCH", where, {"status": status}, content_type=MERGE_PATCH)
            assert answer.status == 422, answer.body
            assert words in answer.body["message"]

    run_story(story())


@pytest.mark.parametrize(
    ("collection", "manifest", "field"),
    [
        (SLICES, {**SLICE, "endpoints": [{"addresses": []}]}, "endpoints[0].addresses"),
        (SLICES, {**SLICE, "endpoints": [{"addresses": ["10.0.0.1"] * 101}]}, "endpoints[0].addresses"),
        (SLICES, {**SLICE, "endpoints": [{"addresses": ["fd00::1"]}]}, "endpoints[0].addresses[0]"),
        (
            f"{NAMESPACE}/services",
            {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "ipFamilies": ["IPv5"]}},
            "spec.ipFamilies[0]",
        ),
        (
            f"{NAMESPACE}/services",
            {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "clusterIP": "nonsense"}},
            "spec.clusterIPs[0]",
        ),
        (
            "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
            {
                "metadata": {"name": "b"},
                "spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Bogus"}]}},
            },
            "spec.selector.matchExpressions[0].operator",
        ),
    ],
)
def test_addresses_and_selectors_that_are_none_are_422(
    make_store: MakeStore, collection: str, manifest: Object, field: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            answer = await client.ask("POST", collection, manifest)
            assert answer.status == 422, answer.body
            assert field in [cause["field"] for cause in answer.body["details"]["causes"]]

    run_story(story())


def test_a_definition_that_could_not_be_served_is_422(make_store: MakeStore, definition: Object) -> None:
    """It would break whoever looks for its kind; so would a pattern at every write of an object."""

    async def story() -> None:
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        properties = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        properties["spec"]["properties"]["free"] = {"type": "string", "pattern": "["}
        del definition["spec"]["names"]["kind"]
        async with serving(make_store()) as client:
            answer = await client.ask("POST", definitions, definition)
            assert answer.status == 422, answer.body
            fields = [cause["field"] for cause in answer.body["details"]["causes"]]
            schema = "spec.validation.openAPIV3Schema"
            named = [f"spec.names.{member}" for member in ("singular", "kind", "listKind")]
            assert fields == [*named, f"{schema}.properties[spec].properties[free].pattern"]
            maps = f"{NAMESPACE}/configmaps"
            assert (await client.ask("POST", maps, {"metadata": {"name": "other"}})).status == 201

    run_story(story())
