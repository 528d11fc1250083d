"""What kubectl tells of quotas, admission webhooks, crash loops, and of what the sandbox does not play."""

from __future__ import annotations

from responder.sandbox.api.admission import Validating
from responder.sandbox.cluster import DEPLOYMENTS, Cluster
from tests.kubectl.running import NAMESPACE, Kubectl, deployment

CRASH_EVERY = "sandbox.responder.dev/crash-every"


async def test_a_quota_is_created_shown_and_kept(cluster: Cluster, kubectl: Kubectl) -> None:
    created = await kubectl.ok("create", "quota", "tight", "--hard=pods=1,count/configmaps=0")
    assert created == "resourcequota/tight created\n"
    refused = await kubectl.run("create", "configmap", "one")
    sums = "requested: count/configmaps=1, used: count/configmaps=0, limited: count/configmaps=0"
    assert refused.stderr == (
        f'error: failed to create configmap: configmaps "one" is forbidden: exceeded quota: tight, {sums}\n'
    )
    await kubectl.ok("apply", "--filename=-", stdin=deployment(replicas=2))
    await kubectl.ok("wait", "deploy/web", "--for=condition=ReplicaFailure", "--timeout=10s")
    head, row = (await kubectl.run("get", "quota")).cells
    assert head == ["NAME", "REQUEST", "LIMIT", "AGE"]
    assert row[0] == "tight"
    assert "pods: 1/1" in " ".join(row)
    described = await kubectl.ok("describe", "deploy", "web")
    assert "ReplicaFailure   True    FailedCreate" in described


async def test_a_denied_change_is_told_in_the_webhooks_words(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl.ok("apply", "--filename=-", stdin=deployment(replicas=0))
    cluster.admission.add(
        Validating(name="no.example.dev", resource=DEPLOYMENTS, refuse=lambda _new, _old: "not today")
    )
    for dry_run in ((), ("--dry-run=server",)):
        refused = await kubectl.run("set", "image", "deploy/web", "*=registry.example/web:9", *dry_run)
        assert refused.exit_code == 1
        assert 'admission webhook "no.example.dev" denied the request: not today' in refused.stderr
    assert cluster.deployment(NAMESPACE, "web")["metadata"]["generation"] == 1


async def test_a_crash_loop_looks_like_one_and_has_no_log(cluster: Cluster, kubectl: Kubectl) -> None:
    crashing = deployment(replicas=1)
    crashing["spec"]["template"]["metadata"]["annotations"] = {CRASH_EVERY: "200ms"}
    await kubectl.ok("apply", "--filename=-", stdin=crashing)
    path = "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff"
    await kubectl.ok("wait", "pod", "--selector=app=web", path, "--timeout=10s")
    _, row = (await kubectl.run("get", "pods")).cells
    assert row[1:4] == ["0/1", "CrashLoopBackOff", "1"]
    (pod,) = cluster.store.list("pods", NAMESPACE)
    name = pod["metadata"]["name"]
    assert await kubectl.ok("logs", name) == f"The sandbox only plays {name}: it has no log.\n"
    refused = await kubectl.run("exec", name, "--", "ls")
    assert f"the sandbox only plays {name}: there is nothing to connect to" in refused.stderr
