"""The manifests fit together: what is named exists, variables are settings, the pod is restricted."""

from __future__ import annotations

import yaml

from responder.rules.load import load_rules
from responder.settings import Settings, variable_of
from tests.shared import CHECKOUT
from tests.unit.deploy.rendering import (
    BASE,
    DEPLOY,
    OVERLAY,
    Manifest,
    container,
    find,
    load,
    pod_spec,
    render,
)

CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
RULES = CHECKOUT / "rules"
# Taken in by hand, or by Slack.
BY_HAND = {"secret.example.yaml", "ingress.example.yaml", "slack-app.yaml"}


def test_every_file_is_taken_in_by_its_kustomization() -> None:
    taken = set(BY_HAND)
    for kustomization in DEPLOY.rglob("kustomization.yaml"):
        folder = kustomization.parent
        taken.add(str(kustomization.relative_to(DEPLOY)))
        for name in yaml.safe_load(kustomization.read_text(encoding="utf-8")).get("resources", []):
            path = (folder / name).resolve()
            assert path.exists(), f"{kustomization}: {name}"
            if path.is_file():
                taken.add(str(path.relative_to(DEPLOY)))
    assert {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.yaml")} == taken


def test_objects_are_alone_by_their_names_and_stand_in_their_namespaces() -> None:
    objects = render(OVERLAY)
    identities = [(obj["kind"], obj["metadata"]["name"]) for obj in objects]
    assert len(identities) == len(set(identities))
    for obj in [*objects, *load("secret.example.yaml"), *load("ingress.example.yaml")]:
        expected = None if obj["kind"] in CLUSTER_WIDE else "responder"
        if obj["metadata"]["name"] == "responder-workloads" and expected is not None:
            expected = "payments"
        assert obj["metadata"].get("namespace") == expected, obj["metadata"]["name"]


def test_the_overlay_leaves_the_base_as_it_is() -> None:
    def identities(objects: list[dict[str, object]]) -> set[tuple[object, object]]:
        return {(obj["kind"], obj["metadata"]["name"]) for obj in objects}  # type: ignore[index]

    assert identities(render(BASE)) < identities(render(OVERLAY))


def test_the_rule_files_are_those_of_the_checkout_in_full() -> None:
    rules = find("ConfigMap", "responder-rules")["data"]
    assert rules == {path.name: path.read_text(encoding="utf-8") for path in RULES.glob("*.y*ml")}
    namespaces = {file.workload.namespace for file in load_rules(RULES).files}
    bound = [obj for obj in render(OVERLAY) if obj["metadata"].get("namespace") not in (None, "responder")]
    assert {obj["metadata"]["namespace"] for obj in bound} == namespaces


def is_policy(obj: Manifest) -> bool:
    return bool(obj["kind"] == "NetworkPolicy")


def test_the_pod_refers_to_what_exists() -> None:
    pod = pod_spec()
    assert find("ServiceAccount", pod["serviceAccountName"])
    assert {mount["name"] for mount in container()["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    # By the names with their hashes, so that a change of either is rolled out.
    rules, settings = find("ConfigMap", "responder-rules"), find("ConfigMap", "responder-settings")
    assert [volume["configMap"]["name"] for volume in pod["volumes"]] == [rules["metadata"]["name"]]
    assert container()["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]


def variables() -> dict[str, str | None]:
    """Every variable of the container, with its value where that is no secret and not the pod's."""
    own = {entry["name"]: entry.get("value") for entry in container()["env"]}
    shared = find("ConfigMap", "responder-settings")["data"]
    assert not own.keys() & shared.keys()
    return {**own, **shared}


def test_variables_are_settings() -> None:
    known = {variable_of(field) for field in Settings.model_fields} | {"POD_NAMESPACE"}
    assert variables().keys() <= known
    (mount,) = container()["volumeMounts"]
    assert variables()["RESPONDER_RULES"] == mount["mountPath"]


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
    for field, info in Settings.model_fields.items():
        variable = variable_of(field)
        assert not info.is_required() or {variable, f"{variable}_FILE"} & variables().keys(), variable


def test_the_example_holds_no_secret() -> None:
    (secret,) = load("secret.example.yaml")
    assert set(secret["stringData"].values()) == {"CHANGE-ME"}


def test_service_and_probes_reach_the_port() -> None:
    service, deployment = find("Service"), find("Deployment")
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
    ingress = load("ingress.example.yaml")[0]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    (manifest,) = load("slack-app.yaml")
    service = path["backend"]["service"]
    assert (path["path"], path["pathType"]) == ("/slack/interactions", "Exact")
    assert find("Service", service["name"])["spec"]["ports"][0]["name"] == service["port"]["name"]
    assert manifest["settings"]["interactivity"] == {
        "is_enabled": True,
        "request_url": f"https://{rule['host']}{path['path']}",
    }
    (tls,) = ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]


def test_alertmanager_posts_to_the_service() -> None:
    service = find("Service")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    (port,) = service["spec"]["ports"]
    config = yaml.safe_load((CHECKOUT / "alertmanager" / "alertmanager.yml").read_text())
    (receiver,) = [r for r in config["receivers"] if r["name"] == Settings.model_fields["receiver"].default]
    (webhook,) = receiver["webhook_configs"]
    assert webhook["url"] == f"http://{host}:{port['port']}/webhooks/alertmanager"


def test_one_replica_is_there_whatever_happens() -> None:
    deployment, budget = find("Deployment")["spec"], find("PodDisruptionBudget")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    assert 0 < budget["minAvailable"] < deployment["replicas"]
    # Ready is whoever could do its work: one that can't may be evicted.
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_everything_selects_the_responders_pods_and_no_others() -> None:
    labels = find("Deployment")["spec"]["template"]["metadata"]["labels"]
    policies = [obj for obj in [*render(OVERLAY), *load("ingress.example.yaml")] if is_policy(obj)]
    selectors = [
        find("Deployment")["spec"]["selector"],
        {"matchLabels": find("Service")["spec"]["selector"]},
        find("PodDisruptionBudget")["spec"]["selector"],
        *(policy["spec"]["podSelector"] for policy in policies),
        *(each["labelSelector"] for each in pod_spec()["topologySpreadConstraints"]),
    ]
    assert len(selectors) == 3 + 3 + 2
    assert selectors == [{"matchLabels": labels}] * len(selectors)


def test_replicas_are_spread_but_never_kept_waiting() -> None:
    spread = {
        each["topologyKey"]: each["whenUnsatisfiable"] for each in pod_spec()["topologySpreadConstraints"]
    }
    assert spread == {
        "kubernetes.io/hostname": "ScheduleAnyway",
        "topology.kubernetes.io/zone": "ScheduleAnyway",
    }


def test_there_is_time_to_hand_over() -> None:
    # A request to the API server takes 20 s at most, and releasing the Lease a few.
    waiting = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod_spec()["terminationGracePeriodSeconds"] >= waiting + 20 + 10


def test_security_context_meets_the_restricted_standard() -> None:
    # Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
    pod, inner = pod_spec()["securityContext"], container()["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert inner["allowPrivilegeEscalation"] is False
    assert inner["readOnlyRootFilesystem"] is True
    assert inner["capabilities"] == {"drop": ["ALL"]}
    enforced = find("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"
