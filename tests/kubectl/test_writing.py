"""What kubectl writes: apply in both ways, create, single changes, patches of three types, delete, wait."""

from __future__ import annotations

import json
from typing import Any

from responder.sandbox.cluster import Cluster
from tests.kubectl.running import NAMESPACE, Kubectl, deployment, service


def template_of(obj: Any) -> Any:
    """The first container of a Deployment's template."""
    return obj["spec"]["template"]["spec"]["containers"][0]


async def test_apply_creates_leaves_alone_and_changes(cluster: Cluster, kubectl: Kubectl) -> None:
    manifests = [deployment(replicas=0), service()]
    apply = ("apply", "--filename=-")
    assert await kubectl.ok(*apply, stdin=manifests) == "deployment.apps/web created\nservice/web created\n"
    text = "deployment.apps/web unchanged\nservice/web unchanged\n"
    assert await kubectl.ok(*apply, stdin=manifests) == text
    changed = deployment(replicas=0, image="registry.example/web:2")
    dry = await kubectl.ok(*apply, "--dry-run=server", stdin=changed)
    assert dry == "deployment.apps/web configured (server dry run)\n"
    difference = await kubectl.run("diff", "--filename=-", stdin=changed)
    assert difference.exit_code == 1
    assert "+        image: registry.example/web:2" in difference.stdout
    assert await kubectl.ok(*apply, stdin=changed) == "deployment.apps/web configured\n"
    assert template_of(await kubectl.get("deploy", "web"))["image"] == "registry.example/web:2"


async def test_apply_merges_three_ways(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl.ok("apply", "--filename=-", stdin=deployment(replicas=0))
    # Somebody else adds what the manifest does not name: it stays. What the manifest drops goes.
    added = [
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/env/-",
            "value": {"name": "ADDED", "value": "x"},
        },
        {
            "op": "add",
            "path": "/spec/template/spec/containers/-",
            "value": {"name": "side", "image": "side:1"},
        },
        {"op": "add", "path": "/metadata/labels/team", "value": "shop"},
    ]
    await kubectl.ok("patch", "deploy", "web", "--type=json", f"--patch={json.dumps(added)}")
    wanted = deployment(replicas=0)
    container = template_of(wanted)
    container["env"] = [{"name": "LEVEL", "value": "debug"}]
    container["ports"] = [{"name": "metrics", "containerPort": 9091}]
    container["volumeMounts"] = [{"name": "work", "mountPath": "/var/work"}]
    wanted["spec"]["template"]["spec"]["volumes"] = [{"name": "work", "configMap": {"name": "settings"}}]
    assert await kubectl.ok("apply", "--filename=-", stdin=wanted) == "deployment.apps/web configured\n"
    found = await kubectl.get("deploy", "web")
    first = template_of(found)
    assert {variable["name"]: variable["value"] for variable in first["env"]} == {
        "LEVEL": "debug",
        "ADDED": "x",
    }
    assert [port["containerPort"] for port in first["ports"]] == [9091]
    assert [mount["mountPath"] for mount in first["volumeMounts"]] == ["/var/work"]
    spec = found["spec"]["template"]["spec"]
    assert [container["name"] for container in spec["containers"]] == ["app", "side"]
    assert spec["volumes"] == [{"name": "work", "configMap": {"name": "settings", "defaultMode": 420}}]
    assert found["metadata"]["labels"] == {"app": "web", "team": "shop"}


async def test_a_manifest_with_a_wrong_field_is_refused(cluster: Cluster, kubectl: Kubectl) -> None:
    wrong = deployment()
    wrong["spec"]["replica"] = 3
    refused = await kubectl.run("apply", "--filename=-", stdin=wrong)
    assert (refused.exit_code, 'strict decoding error: unknown field "spec.replica"' in refused.stderr) == (
        1,
        True,
    )
    assert (await kubectl.run("get", "deploy", "web")).exit_code == 1


async def test_server_side_apply_owns_conflicts_and_forces(cluster: Cluster, kubectl: Kubectl) -> None:
    def replicas(count: int) -> Any:
        return {**deployment(), "spec": {"replicas": count}}

    apply = ("apply", "--server-side", "--filename=-")
    assert (
        await kubectl.ok(*apply, stdin=deployment(replicas=0)) == "deployment.apps/web serverside-applied\n"
    )
    other = (*apply, "--field-manager=other")
    refused = await kubectl.run(*other, stdin=replicas(1))
    text = 'error: Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas\n'
    assert (refused.exit_code, refused.stderr.startswith(text)) == (1, True)
    forced = await kubectl.run(*other, "--force-conflicts", stdin=replicas(1))
    assert (forced.exit_code, forced.stdout) == (0, "deployment.apps/web serverside-applied\n")
    found = await kubectl.get("deploy", "web", "--show-managed-fields")
    owners = {
        entry["manager"]: entry["fieldsV1"].get("f:spec", {}).keys()
        for entry in found["metadata"]["managedFields"]
        if entry["operation"] == "Apply"
    }
    assert (found["spec"]["replicas"], "f:replicas" in owners["kubectl"], list(owners["other"])) == (
        1,
        False,
        ["f:replicas"],
    )


async def test_typed_commands_send_protobuf(cluster: Cluster, kubectl: Kubectl) -> None:
    created = {
        "namespace/away": "create namespace away",
        "configmap/settings": "create configmap settings --from-literal=mode=fast",
        "secret/keys": "create secret generic keys --from-literal=password=secret",
        "serviceaccount/robot": "create serviceaccount robot",
        "deployment.apps/made": "create deployment made --image=made:1 --replicas=0 --port=80",
        "service/made": "create service clusterip made --tcp=80:http",
        "role.rbac.authorization.k8s.io/r": "create role r --verb=get --resource=pods",
        "poddisruptionbudget.policy/made": "create pdb made --selector=app=made --min-available=50%",
    }
    for name, line in created.items():
        assert await kubectl.ok(*line.split()) == f"{name} created\n"
    assert (await kubectl.get("configmap", "settings"))["data"] == {"mode": "fast"}
    assert (await kubectl.get("secret", "keys"))["data"] == {"password": "c2VjcmV0"}
    made = await kubectl.get("deploy", "made")
    assert (made["spec"]["replicas"], made["spec"]["selector"]["matchLabels"]) == (0, {"app": "made"})
    assert template_of(made)["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    (port,) = (await kubectl.get("service", "made"))["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert (await kubectl.get("pdb", "made"))["spec"]["minAvailable"] == "50%"
    assert await kubectl.ok("create", "token", "robot") != ""


async def test_single_changes(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl.ok("create", "--filename=-", stdin=deployment(replicas=0))
    again = await kubectl.run("create", "--filename=-", stdin=deployment(replicas=0))
    assert again.stderr == (
        'Error from server (AlreadyExists): error when creating "STDIN":'
        ' deployments.apps "web" already exists\n'
    )
    assert await kubectl.ok("label", "deploy", "web", "tier=front") == "deployment.apps/web labeled\n"
    taken = await kubectl.run("label", "deploy", "web", "tier=back")
    assert taken.stderr == "error: 'tier' already has a value (front), and --overwrite is false\n"
    assert await kubectl.ok("annotate", "deploy", "web", "note=a b") == "deployment.apps/web annotated\n"
    assert await kubectl.ok("annotate", "deploy", "web", "note-") == "deployment.apps/web annotated\n"
    await kubectl.ok("scale", "deploy/web", "--replicas=1", "--current-replicas=0")
    await kubectl.ok("set", "image", "deploy/web", "app=registry.example/web:3")
    await kubectl.ok("set", "env", "deploy/web", "MODE=slow")
    await kubectl.ok("set", "resources", "deploy/web", "--limits=cpu=1")
    found = await kubectl.get("deploy", "web")
    assert (found["metadata"]["labels"]["tier"], found["spec"]["replicas"]) == ("front", 1)
    assert "note" not in found["metadata"].get("annotations", {})
    container = template_of(found)
    assert (container["image"], container["resources"]["limits"]) == ("registry.example/web:3", {"cpu": "1"})
    assert {"name": "MODE", "value": "slow"} in container["env"]


async def test_patches_of_three_types(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl.ok("create", "--filename=-", stdin=deployment(replicas=0))
    patch = ("patch", "deployment", "web")
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "strategic:1"}]}}}}
    assert await kubectl.ok(*patch, f"--patch={json.dumps(strategic)}") == "deployment.apps/web patched\n"
    found = template_of(await kubectl.get("deploy", "web"))
    assert (found["image"], len(found["env"])) == ("strategic:1", 2)
    merge = {"metadata": {"labels": {"app": None, "by": "merge"}}}
    assert (
        await kubectl.ok(*patch, "--type=merge", f"--patch={json.dumps(merge)}")
        == "deployment.apps/web patched\n"
    )
    tested = [
        {"op": "test", "path": "/metadata/labels/by", "value": "merge"},
        {"op": "replace", "path": "/metadata/labels/by", "value": "json"},
    ]
    assert (
        await kubectl.ok(*patch, "--type=json", f"--patch={json.dumps(tested)}")
        == "deployment.apps/web patched\n"
    )
    assert (await kubectl.get("deploy", "web"))["metadata"]["labels"] == {"by": "json"}
    failed = await kubectl.run(*patch, "--type=json", f"--patch={json.dumps(tested)}")
    assert (failed.exit_code, failed.stderr) == (
        1,
        "The request is invalid: the server rejected our request due to an error in our request\n",
    )
    nothing = await kubectl.ok(*patch, "--type=merge", '--patch={"metadata":{"labels":{"by":"json"}}}')
    assert nothing == "deployment.apps/web patched (no change)\n"


async def test_deleting_and_waiting(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl.ok("apply", "--filename=-", stdin=[deployment(), service()])
    met = await kubectl.ok("wait", "deploy/web", "--for=condition=Available", "--timeout=30s")
    assert met == "deployment.apps/web condition met\n"
    waiting = await kubectl.start("wait", "pods", "--selector=app=web", "--for=delete", "--timeout=30s")
    deleted = await kubectl.ok("delete", "deployment/web", "service/web")
    assert deleted.splitlines() == [
        f'deployment.apps "web" deleted from {NAMESPACE} namespace',
        f'service "web" deleted from {NAMESPACE} namespace',
    ]
    output, _ = await waiting.communicate()
    assert (waiting.returncode, output.count(b"condition met")) == (0, 2)
    assert (await kubectl.get("pods,replicasets"))["items"] == []
    never = await kubectl.run("wait", "deploy/web", "--for=condition=Available", "--timeout=1s")
    assert never.stderr == 'Error from server (NotFound): deployments.apps "web" not found\n'
    ignored = await kubectl.ok("delete", "deployment", "web", "--ignore-not-found")
    assert ignored == ""


async def test_replacing_keeps_what_the_server_gave(kubectl: Kubectl) -> None:
    node_port = service()
    node_port["spec"]["type"] = "NodePort"
    await kubectl.ok("create", "--filename=-", stdin=node_port)
    before = (await kubectl.get("service", "web"))["spec"]
    assert await kubectl.ok("replace", "--filename=-", stdin=node_port) == "service/web replaced\n"
    assert (await kubectl.get("service", "web"))["spec"] == before
