"""Whoever deploys from Git: an Argo CD Application, a Flux Kustomization or HelmRelease, and its controller.

Applies what Git holds every few seconds, by server-side apply under the real tool's name, unless it is paused
as the real tool is. Tells of its comparison as Argo CD does. Started by flow tests beside a world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from responder.sandbox.api.apply import Applier, apply_to
from responder.sandbox.api.objects import Object, copied, seconds_text
from responder.sandbox.cluster import DEPLOYMENTS, Cluster

_MANAGER_OF_GIT = "git"


@dataclass(frozen=True, slots=True)
class Tool:
    """One kind of GitOps object, and how its controller writes."""

    api_version: str
    kind: str
    plural: str
    manager: str
    namespace: str

    @property
    def key(self) -> str:
        """The name of the resource in the store."""
        return f"{self.plural}.{self.api_version.partition('/')[0]}"


ARGO_CD = Tool("argoproj.io/v1alpha1", "Application", "applications", "argocd-controller", "argocd")
KUSTOMIZE = Tool(
    "kustomize.toolkit.fluxcd.io/v1",
    "Kustomization",
    "kustomizations",
    "kustomize-controller",
    "flux-system",
)
HELM = Tool("helm.toolkit.fluxcd.io/v2", "HelmRelease", "helmreleases", "helm-controller", "flux-system")


# Progressive delivery: it makes the Deployments that it moves traffic between.
FLAGGER = Tool("flagger.app/v1beta1", "Canary", "canaries", "flagger", "payments")
# It takes the template of a Deployment that bears no mark of that.
ROLLOUTS = Tool("argoproj.io/v1alpha1", "Rollout", "rollouts", "rollouts-controller", "payments")


class GitOps:
    """One object of a tool that deploys one Deployment, and what Git holds of it."""

    def __init__(
        self, cluster: Cluster, tool: Tool, namespace: str, name: str, *, every_seconds: float = 5.0
    ) -> None:
        self.tool = tool
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._every_seconds = every_seconds
        self._held: Object = self._template()
        self.applied = 0

    def install(self) -> None:
        """Apply the definition and the object, and mark the Deployment as the tool does."""
        self._cluster.apply(definition(self.tool))
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.tool.namespace}}
        self._cluster.apply(namespace)
        spec: Object = {"interval": "1m"}
        if self.tool == ARGO_CD:
            spec = {"syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}
        self._cluster.apply(
            {
                "apiVersion": self.tool.api_version,
                "kind": self.tool.kind,
                "metadata": {"name": self._name, "namespace": self.tool.namespace},
                "spec": spec,
            }
        )
        self._mark()

    def commit(self) -> None:
        """Let Git hold what the Deployment runs now."""
        self._held = self._template()

    @property
    def object(self) -> Object:
        """The Application, Kustomization or HelmRelease as it is now."""
        found = self._cluster.store.get(self.tool.key, self.tool.namespace, self._name)
        assert found is not None, f"no {self.tool.kind} {self._name}"
        return found

    @property
    def paused(self) -> bool:
        """Whether it applies nothing by itself now."""
        spec = self.object["spec"]
        if self.tool == ARGO_CD:
            return not (spec.get("syncPolicy") or {}).get("automated")
        return bool(spec.get("suspend"))

    async def run(self) -> None:
        """Reconcile every few seconds until cancelled."""
        while True:
            await self._cluster.clock.sleep(self._every_seconds)
            if not self.paused:
                self._reconcile()
            if self.tool == ARGO_CD:
                self._compare()

    def _template(self) -> Object:
        template = self._cluster.deployment(self._namespace, self._name)["spec"]["template"]
        return copied(template)

    def _reconcile(self) -> None:
        """Apply by force what Git holds, as all three tools do."""
        store = self._cluster.store
        current = self._cluster.deployment(self._namespace, self._name)
        if current["spec"]["template"] == self._held:
            return
        wanted = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {"template": copied(self._held)},
        }
        applier = Applier(self.tool.manager, "apps/v1", "", True, seconds_text(self._cluster.clock.now()))
        structure = store.structure(store.resource(DEPLOYMENTS))
        merged, fields = apply_to(structure, current, wanted, wanted, applier)
        merged["metadata"].pop("resourceVersion", None)
        store.update(DEPLOYMENTS, merged, manager=self.tool.manager, managed_fields=fields)
        self.applied += 1

    def _compare(self) -> None:
        """Say whether the Deployment is as Git holds it. Argo CD does so while it syncs nothing as well."""
        application = self.object
        entry = {"group": "apps", "kind": "Deployment", "namespace": self._namespace, "name": self._name}
        synced = self._template() == self._held
        application["status"] = {
            "reconciledAt": seconds_text(self._cluster.clock.now()),
            "resources": [{**entry, "status": "Synced" if synced else "OutOfSync"}],
        }
        self._cluster.store.update(self.tool.key, application, manager=self.tool.manager)

    def _mark(self) -> None:
        """The label or annotation by which the tool knows its own."""
        deployment = self._cluster.deployment(self._namespace, self._name)
        metadata = deployment["metadata"]
        if self.tool == ARGO_CD:
            tracking = f"{self._name}:apps/Deployment:{self._namespace}/{self._name}"
            annotations = {**(metadata.get("annotations") or {}), "argocd.argoproj.io/tracking-id": tracking}
            metadata["annotations"] = annotations
        else:
            group = self.tool.api_version.partition("/")[0]
            marks = {f"{group}/name": self._name, f"{group}/namespace": self.tool.namespace}
            metadata["labels"] = {**(metadata.get("labels") or {}), **marks}
        self._cluster.store.update(DEPLOYMENTS, deployment, manager=_MANAGER_OF_GIT)


def definition(tool: Tool) -> Object:
    """The CustomResourceDefinition: with the tool's names, and a schema that lets anything in."""
    group, _, version = tool.api_version.partition("/")
    anything: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{tool.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": tool.kind,
                "plural": tool.plural,
                "singular": tool.kind.lower(),
                "listKind": f"{tool.kind}List",
            },
            "versions": [served],
        },
    }
