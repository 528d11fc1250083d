"""The manifests fit together: what is named exists, variables are settings, rights are the least."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.settings import Settings, variable_of

CHECKOUT = Path(__file__).parents[3]
DEPLOY = CHECKOUT / "deploy"

API_VERSIONS = {
    "Namespace": "v1",
    "ServiceAccount": "v1",
    "Service": "v1",
    "Secret": "v1",
    "Deployment": "apps/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
}
CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
# Taken in by hand, or by Slack.
BY_HAND = {"secret.example.yaml", "ingress.example.yaml", "slack-app.yaml"}


def load(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def applied() -> list[dict[str, Any]]:
    """Every object of the kustomization."""
    (kustomization,) = load("kustomization.yaml")
    return [obj for name in kustomization["resources"] for obj in load(name)]


def the(kind: str, name: str = "responder") -> dict[str, Any]:
    (found,) = [o for o in applied() if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def pod_spec() -> dict[str, Any]:
    return dict(the("Deployment")["spec"]["template"]["spec"])


def container() -> dict[str, Any]:
    (only,) = pod_spec()["containers"]
    return dict(only)


def test_the_kustomization_takes_in_every_file() -> None:
    (kustomization,) = load("kustomization.yaml")
    files = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.yaml")}
    others = {name for name in files if name.endswith("kustomization.yaml")}
    assert set(kustomization["resources"]) == files - others - BY_HAND


def test_objects_are_well_formed() -> None:
    identities = [(obj["kind"], obj["metadata"]["name"]) for obj in applied()]
    assert len(identities) == len(set(identities))
    for obj in [*applied(), *load("secret.example.yaml"), *load("ingress.example.yaml")]:
        assert obj["apiVersion"] == API_VERSIONS[obj["kind"]]
        assert obj["metadata"].get("namespace") == (None if obj["kind"] in CLUSTER_WIDE else "responder")


@pytest.mark.parametrize("name", ["responder", "responder-workloads"])
def test_the_bindings_name_what_exists(name: str) -> None:
    binding = the("ClusterRoleBinding", name)
    assert the(binding["roleRef"]["kind"], binding["roleRef"]["name"])
    (subject,) = binding["subjects"]
    assert the(subject["kind"], subject["name"])["metadata"]["namespace"] == subject["namespace"]


def test_the_pod_refers_to_what_exists() -> None:
    pod = pod_spec()
    assert the("ServiceAccount", pod["serviceAccountName"])
    assert {mount["name"] for mount in container()["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    assert [volume["configMap"]["name"] for volume in pod["volumes"]] == ["responder-rules"]


def test_variables_are_settings() -> None:
    known = {variable_of(field) for field in Settings.model_fields} | {"POD_NAMESPACE"}
    values = {entry["name"]: entry.get("value") for entry in container()["env"]}
    assert set(values) <= known
    (mount,) = container()["volumeMounts"]
    assert values["RESPONDER_RULES"] == mount["mountPath"]


def test_every_secret_of_the_example_is_used_and_only_the_token_must_be_there() -> None:
    (secret,) = load("secret.example.yaml")
    used = {
        entry["valueFrom"]["secretKeyRef"]["key"]: (entry["name"], entry["valueFrom"]["secretKeyRef"])
        for entry in container()["env"]
        if "secretKeyRef" in entry.get("valueFrom", {})
    }
    assert used.keys() == secret["stringData"].keys()
    for key, (variable, reference) in used.items():
        assert variable == variable_of(key.replace("-", "_"))
        assert reference["name"] == secret["metadata"]["name"]
        required = Settings.model_fields[key.replace("-", "_")].is_required()
        assert reference.get("optional", False) is not required


def test_every_needed_setting_is_there() -> None:
    values = {entry["name"] for entry in container()["env"]}
    for field, info in Settings.model_fields.items():
        variable = variable_of(field)
        assert not info.is_required() or {variable, f"{variable}_FILE"} & values, variable


def test_the_example_holds_no_secret() -> None:
    (secret,) = load("secret.example.yaml")
    assert set(secret["stringData"].values()) == {"CHANGE-ME"}


def test_service_and_probes_reach_the_port() -> None:
    service, deployment = the("Service"), the("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports["http"] == int(Settings.model_fields["listen"].default.rpartition(":")[2])
    paths = {
        probe: (container()[probe]["httpGet"]["path"], container()[probe]["httpGet"]["port"])
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
    }
    assert paths == {
        "livenessProbe": ("/healthz", "http"),
        "readinessProbe": ("/readyz", "http"),
        "startupProbe": ("/healthz", "http"),
    }


def test_slack_reaches_one_path_and_no_other() -> None:
    (ingress,) = load("ingress.example.yaml")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    (manifest,) = load("slack-app.yaml")
    service = path["backend"]["service"]
    assert (path["path"], path["pathType"]) == ("/slack/interactions", "Exact")
    assert the("Service", service["name"])["spec"]["ports"][0]["name"] == service["port"]["name"]
    assert manifest["settings"]["interactivity"] == {
        "is_enabled": True,
        "request_url": f"https://{rule['host']}{path['path']}",
    }
    (tls,) = ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]


def test_alertmanager_posts_to_the_service() -> None:
    service = the("Service")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    (port,) = service["spec"]["ports"]
    config = yaml.safe_load((CHECKOUT / "alertmanager" / "alertmanager.yml").read_text())
    (receiver,) = [r for r in config["receivers"] if r["name"] == Settings.model_fields["receiver"].default]
    (webhook,) = receiver["webhook_configs"]
    assert webhook["url"] == f"http://{host}:{port['port']}/webhooks/alertmanager"


def test_only_one_process_at_a_time() -> None:
    spec = the("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_security_context_meets_the_restricted_standard() -> None:
    # Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
    pod, inner = pod_spec()["securityContext"], container()["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["allowPrivilegeEscalation"] is False
    assert inner["readOnlyRootFilesystem"] is True
    assert inner["capabilities"] == {"drop": ["ALL"]}
    enforced = the("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


def grants(role: str) -> set[tuple[str, str, str]]:
    """Everything a role allows, one (verb, group, resource) each."""
    return {
        (verb, group, resource)
        for rule in the("ClusterRole", role)["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


READS = {"get", "list", "watch"}


def test_the_responder_writes_little_and_reads_no_secrets() -> None:
    assert {grant for grant in grants("responder") if grant[0] not in READS} == {
        ("create", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents/status"),
        ("create", "responder.dev", "workloadrecords"),
        ("patch", "responder.dev", "workloadrecords"),
        ("create", "responder.dev", "decisions"),
    }
    assert {(group, resource) for verb, group, resource in grants("responder") if verb in READS} == {
        ("", "namespaces"),
        ("responder.dev", "incidents"),
        ("responder.dev", "incidents/status"),
        ("responder.dev", "workloadrecords"),
        ("responder.dev", "decisions"),
    }


def test_rights_on_workloads_stand_by_themselves_so_that_they_can_be_given_by_namespace() -> None:
    workloads = grants("responder-workloads")
    assert {grant for grant in workloads if grant[0] not in READS} == {("patch", "apps", "deployments")}
    assert {(group, resource) for verb, group, resource in workloads if verb in READS} == {
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("", "pods"),
        ("", "services"),
        ("discovery.k8s.io", "endpointslices"),
    }
    (component,) = load("per-namespace/kustomization.yaml")
    (patch,) = component["patches"]
    removed = yaml.safe_load(patch["patch"])
    assert removed.pop("$patch") == "delete"
    binding = the(removed["kind"], removed["metadata"]["name"])
    assert binding["roleRef"]["name"] == "responder-workloads"


@pytest.mark.parametrize("role", ["responder", "responder-workloads", "responder-decider"])
def test_no_role_has_wildcards(role: str) -> None:
    assert not any("*" in grant for grant in grants(role))


def test_a_decider_writes_answers_alone() -> None:
    writes = {grant for grant in grants("responder-decider") if grant[0] not in READS}
    assert writes == {("create", "responder.dev", "decisions")}
