"""What kubectl reads: tables, other output, watches, descriptions, what there is and what one may."""

from __future__ import annotations

import json
import re

from responder.sandbox.cluster import Cluster
from tests.kubectl.running import NAMESPACE, Kubectl, deployment, service


async def running(cluster: Cluster, kubectl: Kubectl) -> None:
    """Let a Deployment of two and its Service come up."""
    await kubectl.ok("apply", "--filename=-", stdin=[deployment(), service()])
    await cluster.rollout_complete(NAMESPACE, "web")


async def test_tables_show_the_columns_of_the_kind(cluster: Cluster, kubectl: Kubectl) -> None:
    await running(cluster, kubectl)
    head, row = (await kubectl.run("get", "deployments")).cells
    assert head == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row[:4] == ["web", "2/2", "2", "2"]
    assert re.fullmatch(r"\d+s", row[4])
    head, row = (await kubectl.run("get", "deploy", "web", "--output=wide")).cells
    assert head[5:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert row[5:] == ["app", "registry.example/web:1", "app=web"]
    assert (await kubectl.run("get", "replicasets")).cells[1][1:4] == ["2", "2", "2"]
    assert (await kubectl.run("get", "service", "web")).cells[1][:2] == ["web", "ClusterIP"]
    pods = (await kubectl.run("get", "pods", "--output=wide")).lines
    assert pods[0].split() == [
        *("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED", "NODE"),
        *("READINESS", "GATES"),
    ]
    assert [pod.split()[1:4] for pod in pods[1:]] == [["1/1", "Running", "0"]] * 2
    slices = (await kubectl.run("get", "endpointslices")).cells
    assert slices[1][1] == "IPv4"
    assert slices[1][2] in ("8080", "http")
    assert len(slices[1][3].split(",")) == 2


async def test_every_kind_that_is_served_has_a_table(cluster: Cluster, kubectl: Kubectl) -> None:
    names = (await kubectl.ok("api-resources", "--verbs=list", "--output=name")).split()
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io", "incidents.responder.dev"} <= set(names)
    everything = await kubectl.run("get", ",".join(names), "--all-namespaces")
    assert (everything.exit_code, everything.stderr) == (0, "")


async def test_the_other_forms_of_output(cluster: Cluster, kubectl: Kubectl) -> None:
    await running(cluster, kubectl)
    assert await kubectl.ok("get", "deploy", "--output=name") == "deployment.apps/web\n"
    path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
    assert await kubectl.ok("get", "deploy/web", path) == "registry.example/web:1"
    listed = await kubectl.get("deploy,service", "--selector=app=web")
    assert (listed["kind"], [item["kind"] for item in listed["items"]]) == ("List", ["Deployment"])
    text = await kubectl.ok("get", "deploy", "web", "--output=yaml")
    assert text.startswith("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n")
    assert "managedFields" not in text
    assert "managedFields" in await kubectl.ok(
        "get", "deploy", "web", "--output=yaml", "--show-managed-fields"
    )
    custom = "--output=custom-columns=NAME:.metadata.name,WANTED:.spec.replicas"
    assert (await kubectl.run("get", "deploy", custom)).cells == [["NAME", "WANTED"], ["web", "2"]]
    labelled = await kubectl.run("get", "pods", "--show-labels", "--sort-by=.metadata.name", "--no-headers")
    assert all("app=web,pod-template-hash=" in line for line in labelled.lines)
    fields = await kubectl.run("get", "pods", "--field-selector=status.phase=Running", "--output=name")
    assert len(fields.lines) == 2


async def test_what_is_not_there(cluster: Cluster, kubectl: Kubectl) -> None:
    missing = await kubectl.run("get", "deployment", "nowhere")
    text = 'Error from server (NotFound): deployments.apps "nowhere" not found\n'
    assert (missing.exit_code, missing.stdout, missing.stderr) == (1, "", text)
    empty = await kubectl.run("get", "pods")
    assert (empty.exit_code, empty.stderr) == (0, f"No resources found in {NAMESPACE} namespace.\n")
    unknown = await kubectl.run("get", "widgets")
    text = 'error: the server doesn\'t have a resource type "widgets"\n'
    assert (unknown.exit_code, unknown.stderr) == (1, text)


async def test_a_watch_prints_changes_under_one_head(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl.ok("apply", "--filename=-", stdin=deployment(replicas=0))
    process = await kubectl.start("get", "deployments", "--watch")
    assert process.stdout is not None
    try:
        head, first = [(await process.stdout.readline()).split() for _ in range(2)]
        await kubectl.ok("scale", "deployment/web", "--replicas=1")
        row: list[bytes] = []
        while row[1:2] != [b"1/1"]:
            row = (await process.stdout.readline()).split()
            assert row[0] == b"web"
    finally:
        process.terminate()
        await process.communicate()
    assert (head[:2], first[:2]) == ([b"NAME", b"READY"], [b"web", b"0/0"])


async def test_descriptions(cluster: Cluster, kubectl: Kubectl) -> None:
    await running(cluster, kubectl)
    text = await kubectl.ok("describe", "deployment", "web")
    assert "Replicas:               2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in text
    assert "StrategyType:           RollingUpdate" in text
    assert re.search(r"Progressing\s+True\s+NewReplicaSetAvailable", text)
    assert re.search(r"NewReplicaSet:\s+web-\w+ \(2/2 replicas created\)", text)
    assert re.search(r"Normal\s+ScalingReplicaSet\s+\S+\s+deployment-controller\s+Scaled up", text)
    text = await kubectl.ok("describe", "replicaset", "--selector=app=web")
    assert "Controlled By:  Deployment/web" in text
    assert "2 Running / 0 Waiting / 0 Succeeded / 0 Failed" in text
    text = await kubectl.ok("describe", "pod", "--selector=app=web")
    assert len(re.findall(r"^Status:\s+Running$", text, re.MULTILINE)) == 2
    text = await kubectl.ok("describe", "service", "web")
    assert re.search(r"Endpoints:\s+10\.244\.\d+\.\d+:8080,10\.244\.\d+\.\d+:8080", text)


async def test_what_there_is_and_what_one_may(kubectl: Kubectl, limited: Kubectl) -> None:
    table = (await kubectl.run("api-resources", "--api-group=apps", "--output=wide")).lines
    assert table[0].split() == [
        "NAME",
        "SHORTNAMES",
        "APIVERSION",
        "NAMESPACED",
        "KIND",
        "VERBS",
        "CATEGORIES",
    ]
    assert [line.split()[0] for line in table[1:]] == [
        *("controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
    ]
    assert (await kubectl.ok("api-versions")).splitlines()[0] == "apiextensions.k8s.io/v1"
    version = json.loads(await kubectl.ok("version", "--output=json"))
    assert version["serverVersion"]["gitVersion"].startswith("v1.36.")
    assert await kubectl.ok("auth", "can-i", "patch", "deployments.apps") == "yes\n"
    assert "Username    admin" in await kubectl.ok("auth", "whoami")
    await kubectl.ok("create", "role", "reader", "--verb=get,list", "--resource=deployments.apps")
    await kubectl.ok("create", "rolebinding", "reader", "--role=reader", "--user=limited")
    assert (await limited.run("auth", "can-i", "get", "deployments.apps")).stdout == "yes\n"
    refused = await limited.run("auth", "can-i", "patch", "deployments.apps")
    assert (refused.exit_code, refused.stdout) == (1, "no\n")
    rules = await limited.ok("auth", "can-i", "--list")
    assert re.search(r"deployments\.apps\s+\[\]\s+\[\]\s+\[get list\]", rules)
    forbidden = await limited.run("get", "pods")
    text = f'cannot list resource "pods" in API group "" in the namespace "{NAMESPACE}"'
    assert (forbidden.exit_code, text in forbidden.stderr) == (1, True)
