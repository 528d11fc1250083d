"""The responder's own resources through kubectl: definitions, columns, status, selectors, refusals."""

from __future__ import annotations

import json
import re

from responder.sandbox.cluster import Cluster
from tests.kubectl.running import NAMESPACE, Kubectl, incident


async def test_our_definitions_are_established(kubectl: Kubectl) -> None:
    names = ("incidents.responder.dev", "decisions.responder.dev", "workloadrecords.responder.dev")
    met = await kubectl.ok("wait", "crd", *names, "--for=condition=Established", "--timeout=10s")
    assert met.count("condition met") == 3
    listed = await kubectl.ok("api-resources", "--api-group=responder.dev", "--output=name")
    assert set(listed.split()) == set(names)


async def test_an_incident_lives(cluster: Cluster, kubectl: Kubectl) -> None:
    assert (
        await kubectl.ok("apply", "--filename=-", stdin=incident())
        == "incident.responder.dev/web-1 created\n"
    )
    text = "incident.responder.dev/web-1 unchanged\n"
    assert await kubectl.ok("apply", "--filename=-", stdin=incident()) == text
    status = {"status": {"phase": "Open", "rule": "errors", "message": "seen"}}
    patch = ("patch", "incident", "web-1", "--type=merge", f"--patch={json.dumps(status)}")
    # Without --subresource the status is out of reach.
    assert (await kubectl.ok(*patch)).endswith("patched (no change)\n")
    assert (await kubectl.ok(*patch, "--subresource=status")).endswith("patched\n")
    met = await kubectl.ok("wait", "incident/web-1", "--for=jsonpath={.status.phase}=Open", "--timeout=5s")
    assert met == "incident.responder.dev/web-1 condition met\n"
    head, row = (await kubectl.run("get", "incidents")).cells
    assert head == ["NAME", "PHASE", "OUTCOME", "REASON", "WORKLOAD", "AGE"]
    assert row[:3] == ["web-1", "Open", "web"]  # no outcome and no reason yet
    wide = (await kubectl.run("get", "incidents", "--output=wide")).cells
    assert wide[0][5:] == ["KIND", "FROM", "TO", "RULE", "AGE"]
    assert wide[1][3:5] == ["Deployment", "errors"]
    described = await kubectl.ok("describe", "incident", "web-1")
    assert re.search(r"^Status:\n  Message:\s+seen\n  Phase:\s+Open\n", described, re.MULTILINE)
    await kubectl.ok("label", "incident", "web-1", "team=shop")
    await kubectl.ok("annotate", "incident", "web-1", "note=x")
    assert (await kubectl.get("incidents", "--selector=team=shop"))["items"][0]["metadata"]["generation"] == 1
    deleted = await kubectl.ok("delete", "incident", "web-1")
    assert deleted == f'incident.responder.dev "web-1" deleted from {NAMESPACE} namespace\n'


async def test_a_record_shows_what_serves_and_when_it_was_rolled_back(kubectl: Kubectl) -> None:
    def revision(name: str) -> dict[str, str]:
        return {"uid": name, "replicaSet": f"web-{name}", "hash": name}

    at = "2026-01-01T00:00:00Z"
    done = {"incident": "web-1", "fromUid": "b", "toUid": "a", "at": at, "automatic": True, "by": "responder"}
    spec = {
        "workload": {"kind": "Deployment", "name": "web"},
        "nextSequence": 2,
        "servings": [{"revision": revision(name), "seen": True} for name in ("a", "b", "a")],
        "rollbacks": [done],
    }
    kind = {"apiVersion": "responder.dev/v1alpha1", "kind": "WorkloadRecord"}
    for name, each in (
        ("deployment-new", {"workload": {"kind": "Deployment", "name": "new"}}),
        ("web", spec),
    ):
        await kubectl.ok("apply", "--filename=-", stdin={**kind, "metadata": {"name": name}, "spec": each})
    head, new, row = (await kubectl.run("get", "wlr")).cells
    assert head == ["NAME", "WORKLOAD", "NEXT", "SERVING", "LAST-ROLLBACK", "AGE"]
    assert row[:4] == ["web", "web", "2", "web-a"]
    assert len(row) == len(head)
    assert new[:2] == ["deployment-new", "new"]


async def test_a_schema_is_enforced(kubectl: Kubectl) -> None:
    wrong = incident()
    wrong["spec"]["sequence"] = -1
    refused = await kubectl.run("apply", "--filename=-", stdin=wrong)
    assert (refused.exit_code, refused.stderr.splitlines()[0]) == (1, 'The Incident "web-1" is invalid: ')
    assert "spec.sequence in body should be greater than or equal to 0" in refused.stderr
    wrong["spec"] |= {"sequence": 1, "receivedAt": "yesterday"}
    refused = await kubectl.run("apply", "--filename=-", stdin=wrong)
    assert 'spec.receivedAt in body must be of type date-time: "yesterday"' in refused.stderr
    unknown = incident()
    unknown["spec"]["colour"] = "red"
    refused = await kubectl.run("apply", "--filename=-", stdin=unknown)
    assert 'unknown field "spec.colour"' in refused.stderr
    strategic = await kubectl.run("patch", "incident", "web-1", "--type=strategic", "--patch={}")
    assert strategic.exit_code == 1


async def test_server_side_apply_of_a_custom_resource(kubectl: Kubectl) -> None:
    apply = ("apply", "--server-side", "--filename=-")
    assert await kubectl.ok(*apply, stdin=incident()) == "incident.responder.dev/web-1 serverside-applied\n"
    other = {**incident(), "spec": {**incident()["spec"], "receivedAt": "2026-01-02T00:00:00Z"}}
    refused = await kubectl.run(*apply, "--field-manager=other", stdin=other)
    text = 'error: Apply failed with 1 conflict: conflict with "kubectl": .spec.receivedAt\n'
    assert refused.stderr.startswith(text)
