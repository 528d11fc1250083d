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
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
}


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
    assert set(kustomization["resources"]) == files - {"kustomization.yaml", "secret.example.yaml"}


def test_objects_are_well_formed() -> None:
    identities = [(obj["kind"], obj["metadata"]["name"]) for obj in applied()]
    assert len(identities) == len(set(identities))
    for obj in [*applied(), *load("secret.example.yaml")]:
        assert obj["apiVersion"] == API_VERSIONS[obj["kind"]]
        namespaced = obj["apiVersion"] in ("v1", "apps/v1") and obj["kind"] != "Namespace"
        assert obj["metadata"].get("namespace") == ("responder" if namespaced else None)


def test_the_binding_names_what_exists() -> None:
    binding = the("ClusterRoleBinding")
    assert the(binding["roleRef"]["kind"], binding["roleRef"]["name"])
    (subject,) = binding["subjects"]
    assert the(subject["kind"], subject["name"])["metadata"]["namespace"] == subject["namespace"]


def test_the_pod_refers_to_what_exists() -> None:
    pod = pod_spec()
    assert the("ServiceAccount", pod["serviceAccountName"])
    assert {mount["name"] for mount in container()["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    (secret,) = load("secret.example.yaml")
    sources = {"responder-rules": "ConfigMap", secret["metadata"]["name"]: "Secret"}
    for volume in pod["volumes"]:
        name = volume.get("configMap", {}).get("name") or volume["secret"]["secretName"]
        assert sources[name] == ("ConfigMap" if "configMap" in volume else "Secret")


def test_variables_are_settings_and_their_files_are_mounted() -> None:
    known = {variable_of(field) for field in Settings.model_fields} | {"POD_NAMESPACE"}
    (secret,) = load("secret.example.yaml")
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    values = {entry["name"]: entry.get("value") for entry in container()["env"]}
    assert set(values) <= known
    assert values["RESPONDER_RULES"] == mounts["rules"]
    files = {value for name, value in values.items() if name.endswith("_FILE")}
    assert files == {f"{mounts['secrets']}/{key}" for key in secret["stringData"]}


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


def test_the_responder_writes_little_and_reads_no_secrets() -> None:
    reads = {"get", "list", "watch"}
    assert {grant for grant in grants("responder") if grant[0] not in reads} == {
        ("patch", "apps", "deployments"),
        ("create", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents"),
        ("patch", "responder.dev", "incidents/status"),
        ("create", "responder.dev", "workloadrecords"),
        ("patch", "responder.dev", "workloadrecords"),
        ("create", "responder.dev", "decisions"),
    }
    assert {(group, resource) for verb, group, resource in grants("responder") if verb in reads} == {
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("", "pods"),
        ("", "services"),
        ("", "namespaces"),
        ("discovery.k8s.io", "endpointslices"),
        ("responder.dev", "incidents"),
        ("responder.dev", "incidents/status"),
        ("responder.dev", "workloadrecords"),
        ("responder.dev", "decisions"),
    }


@pytest.mark.parametrize("role", ["responder", "responder-decider"])
def test_no_role_has_wildcards(role: str) -> None:
    assert not any("*" in grant for grant in grants(role))


def test_a_decider_writes_answers_alone() -> None:
    writes = {grant for grant in grants("responder-decider") if grant[0] not in {"get", "list", "watch"}}
    assert writes == {("create", "responder.dev", "decisions")}
