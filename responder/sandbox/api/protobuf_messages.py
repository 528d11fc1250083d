"""The protobuf messages that kubectl's typed commands send: which number stands for which field.

A table, nothing else. Source: Kubernetes staging/src/k8s.io/api/*/*/generated.proto
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A field's JSON name and what it holds.

    That is string, int, bool, map, bytemap, quantities (a map of them), intstr, or a message's name.

    optional: in Go a pointer, so that it is sent only when it is set, and its zero counts.
    """

    name: str
    kind: str
    repeated: bool = False
    optional: bool = False


# One line a message: "number name: kind", separated by commas; "[]kind" repeats, "*kind" is optional.
_TABLE: dict[str, str] = {
    "ObjectMeta": (
        "1 name: string, 2 generateName: string, 3 namespace: string, 11 labels: map, 12 annotations: map,"
        " 13 ownerReferences: []OwnerReference, 14 finalizers: []string"
    ),
    "OwnerReference": (
        "1 kind: string, 3 name: string, 4 uid: string, 5 apiVersion: string, 6 controller: *bool,"
        " 7 blockOwnerDeletion: *bool"
    ),
    "LabelSelector": "1 matchLabels: map, 2 matchExpressions: []LabelSelectorRequirement",
    "LabelSelectorRequirement": "1 key: string, 2 operator: string, 3 values: []string",
    "SelfSubjectAccessReview": "1 metadata: ObjectMeta, 2 spec: SelfSubjectAccessReviewSpec",
    "SelfSubjectAccessReviewSpec": (
        "1 resourceAttributes: ResourceAttributes, 2 nonResourceAttributes: NonResourceAttributes"
    ),
    "ResourceAttributes": (
        "1 namespace: string, 2 verb: string, 3 group: string, 4 version: string, 5 resource: string,"
        " 6 subresource: string, 7 name: string"
    ),
    "NonResourceAttributes": "1 path: string, 2 verb: string",
    "SelfSubjectRulesReview": "1 metadata: ObjectMeta, 2 spec: SelfSubjectRulesReviewSpec",
    "SelfSubjectRulesReviewSpec": "1 namespace: string",
    "SelfSubjectReview": "1 metadata: ObjectMeta",
    "TokenRequest": "1 metadata: ObjectMeta, 2 spec: TokenRequestSpec",
    "TokenRequestSpec": "1 audiences: []string, 4 expirationSeconds: *int",
    "Eviction": "1 metadata: ObjectMeta, 2 deleteOptions: DeleteOptions",
    "DeleteOptions": "1 gracePeriodSeconds: *int, 4 propagationPolicy: *string, 5 dryRun: []string",
    "Namespace": "1 metadata: ObjectMeta",
    "ConfigMap": "1 metadata: ObjectMeta, 2 data: map, 3 binaryData: bytemap, 4 immutable: *bool",
    "Secret": (
        "1 metadata: ObjectMeta, 2 data: bytemap, 3 type: string, 4 stringData: map, 5 immutable: *bool"
    ),
    "ResourceQuota": "1 metadata: ObjectMeta, 2 spec: ResourceQuotaSpec",
    "ResourceQuotaSpec": "1 hard: quantities, 2 scopes: []string",
    "ServiceAccount": "1 metadata: ObjectMeta",
    "Service": "1 metadata: ObjectMeta, 2 spec: ServiceSpec",
    "ServiceSpec": (
        "1 ports: []ServicePort, 2 selector: map, 3 clusterIP: string, 4 type: string,"
        " 5 externalIPs: []string, 7 sessionAffinity: string, 10 externalName: string,"
        " 13 publishNotReadyAddresses: bool"
    ),
    "ServicePort": (
        "1 name: string, 2 protocol: string, 3 port: int, 4 targetPort: intstr, 5 nodePort: int,"
        " 6 appProtocol: *string"
    ),
    "Deployment": "1 metadata: ObjectMeta, 2 spec: DeploymentSpec",
    "DeploymentSpec": (
        "1 replicas: *int, 2 selector: LabelSelector, 3 template: PodTemplateSpec,"
        " 4 strategy: DeploymentStrategy, 5 minReadySeconds: int, 6 revisionHistoryLimit: *int,"
        " 7 paused: bool, 9 progressDeadlineSeconds: *int"
    ),
    "DeploymentStrategy": "1 type: string, 2 rollingUpdate: RollingUpdateDeployment",
    "RollingUpdateDeployment": "1 maxUnavailable: *intstr, 2 maxSurge: *intstr",
    "PodTemplateSpec": "1 metadata: ObjectMeta, 2 spec: PodSpec",
    "PodSpec": (
        "2 containers: []Container, 3 restartPolicy: string, 4 terminationGracePeriodSeconds: *int,"
        " 6 dnsPolicy: string, 7 nodeSelector: map, 8 serviceAccountName: string, 20 initContainers:"
        " []Container"
    ),
    "Container": (
        "1 name: string, 2 image: string, 3 command: []string, 4 args: []string, 5 workingDir: string,"
        " 6 ports: []ContainerPort, 7 env: []EnvVar, 14 imagePullPolicy: string"
    ),
    "ContainerPort": "1 name: string, 2 hostPort: int, 3 containerPort: int, 4 protocol: string",
    "EnvVar": "1 name: string, 2 value: string",
    "Role": "1 metadata: ObjectMeta, 2 rules: []PolicyRule",
    "ClusterRole": "1 metadata: ObjectMeta, 2 rules: []PolicyRule",
    "PolicyRule": (
        "1 verbs: []string, 2 apiGroups: []string, 3 resources: []string, 4 resourceNames: []string,"
        " 5 nonResourceURLs: []string"
    ),
    "RoleBinding": "1 metadata: ObjectMeta, 2 subjects: []Subject, 3 roleRef: RoleRef",
    "ClusterRoleBinding": "1 metadata: ObjectMeta, 2 subjects: []Subject, 3 roleRef: RoleRef",
    "Subject": "1 kind: string, 2 apiGroup: string, 3 name: string, 4 namespace: string",
    "RoleRef": "1 apiGroup: string, 2 kind: string, 3 name: string",
    "PodDisruptionBudget": "1 metadata: ObjectMeta, 2 spec: PodDisruptionBudgetSpec",
    "PodDisruptionBudgetSpec": (
        "1 minAvailable: *intstr, 2 selector: LabelSelector, 3 maxUnavailable: *intstr"
    ),
    "HorizontalPodAutoscaler": "1 metadata: ObjectMeta, 2 spec: HorizontalPodAutoscalerSpec",
    "HorizontalPodAutoscalerSpec": (
        "1 scaleTargetRef: CrossVersionObjectReference, 2 minReplicas: *int, 3 maxReplicas: int,"
        " 4 metrics: []MetricSpec"
    ),
    "CrossVersionObjectReference": "1 kind: string, 2 name: string, 3 apiVersion: string",
    "MetricSpec": "1 type: string, 4 resource: ResourceMetricSource",
    "ResourceMetricSource": "1 name: string, 2 target: MetricTarget",
    "MetricTarget": "1 type: string, 4 averageUtilization: *int",
}


def _parsed(line: str) -> dict[int, Field]:
    fields = {}
    for part in line.split(", "):
        number, _, rest = part.partition(" ")
        name, _, kind = rest.partition(": ")
        kind = kind.strip()
        plain = kind.removeprefix("[]").removeprefix("*")
        fields[int(number)] = Field(name, plain, kind.startswith("[]"), kind.startswith("*"))
    return fields


MESSAGES: dict[str, dict[int, Field]] = {name: _parsed(line) for name, line in _TABLE.items()}
