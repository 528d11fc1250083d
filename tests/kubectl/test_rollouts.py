"""kubectl rollout: status on the way, and the ways in which it ends."""

from __future__ import annotations

from responder.sandbox.cluster import Cluster
from tests.kubectl.running import NAMESPACE, Kubectl, deployment


async def test_status_follows_a_rollout_to_its_end(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl.ok("apply", "--filename=-", stdin=deployment())
    first = (await kubectl.run("rollout", "status", "deployment/web", "--timeout=30s")).lines
    assert first[-1] == 'deployment "web" successfully rolled out'
    await kubectl.ok("set", "image", "deployment/web", "app=registry.example/web:2")
    second = (await kubectl.run("rollout", "status", "deployment/web", "--timeout=30s")).lines
    assert second[0].startswith('Waiting for deployment "web" rollout to finish: ')
    assert second[-1] == 'deployment "web" successfully rolled out'
    old = (await kubectl.run("rollout", "status", "deployment/web", "--revision=1")).stderr
    assert old == "error: desired revision (1) is different from the running revision (2)\n"


async def test_a_release_that_never_gets_ready_is_undone(cluster: Cluster, kubectl: Kubectl) -> None:
    manifest = deployment()
    manifest["spec"]["progressDeadlineSeconds"] = 2
    await kubectl.ok("apply", "--filename=-", stdin=manifest)
    await cluster.rollout_complete(NAMESPACE, "web")
    annotations = {"sandbox.responder.dev/never-ready": "true"}
    cluster.release(NAMESPACE, "web", image="registry.example/web:bad", annotations=annotations)
    failed = await kubectl.run("rollout", "status", "deployment/web", "--timeout=30s")
    text = 'error: deployment "web" exceeded its progress deadline\n'
    assert (failed.exit_code, failed.stderr) == (1, text)
    undone = await kubectl.run("rollout", "undo", "deployment/web")
    assert (undone.exit_code, undone.stdout) == (0, "deployment.apps/web rolled back\n")
    done = (await kubectl.run("rollout", "status", "deployment/web", "--timeout=30s")).lines
    assert done[-1] == 'deployment "web" successfully rolled out'
    path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
    assert await kubectl.ok("get", "deployment", "web", path) == "registry.example/web:1"
