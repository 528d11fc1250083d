"""A simulated cluster for the commands to look into, over HTTP and in real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from responder.cli.main import cli
from responder.clock import SystemClock
from responder.errors import ResponderError
from responder.sandbox.api.access import ADMIN, Tokens, User
from responder.sandbox.cluster import Cluster
from responder.sandbox.manifests import deployment
from responder.workloads.views import FREEZE
from tests.shared import CHECKOUT

NAMESPACE, NAME, HOME = "payments", "payment-service", "responder"
INCIDENTS, RECORDS = "incidents.responder.dev", "workloadrecords.responder.dev"
NAMESPACES, LEASES = "namespaces", "leases.coordination.k8s.io"
INCIDENT = f"deployment-{NAME}-1"


@dataclass
class Shell:
    """The cluster, and the command line that looks into it."""

    cluster: Cluster
    folder: Path
    columns: int = 200

    async def run(self, *arguments: str, token: str = "admin", stdin: str | None = None) -> Result:
        """Run a command; its errors are in the result, as `exception`."""
        config = self.folder / f"kubeconfig-{token}"
        config.write_text(yaml.safe_dump(self.cluster.kubeconfig(token)), encoding="utf-8")
        # The command has an event loop of its own, and the cluster answers from this one.
        env = {"KUBECONFIG": str(config), "COLUMNS": str(self.columns)}
        return await asyncio.to_thread(CliRunner(env=env).invoke, cli, arguments, input=stdin)

    async def ok(self, *arguments: str, token: str = "admin", stdin: str | None = None) -> str:
        """Run a command that has to succeed, and return what it printed."""
        done = await self.run(*arguments, token=token, stdin=stdin)
        if done.exit_code != 0:
            pytest.fail(f"responder {' '.join(arguments)}: {done.output} {done.exception!r}")
        return done.stdout

    async def refused(self, *arguments: str, token: str = "admin") -> str:
        """Run a command that has to fail, and return why."""
        done = await self.run(*arguments, token=token)
        assert done.exit_code != 0, done.output
        return str(done.exception) if isinstance(done.exception, ResponderError) else done.output

    def mark(self, resource: str, namespace: str, name: str) -> str | None:
        """The freeze mark that the object carries."""
        found = self.cluster.store.get(resource, namespace, name)
        assert found is not None
        annotations: dict[str, str] = found["metadata"].get("annotations", {})
        return annotations.get(FREEZE)

    def put_incident(
        self, status: dict[str, Any], name: str = INCIDENT, *, closed: bool = False
    ) -> dict[str, Any]:
        """Store an incident with that status."""
        body = {
            "apiVersion": "responder.dev/v1alpha1",
            "kind": "Incident",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {} if closed else {"responder.dev/open": "true"},
            },
            "spec": {
                "workload": {"kind": "Deployment", "name": NAME},
                "sequence": int(name.rpartition("-")[2]),
                "receivedAt": (self.cluster.clock.now() - timedelta(minutes=5)).isoformat(),
            },
        }
        made = self.cluster.store.create(INCIDENTS, body, manager="tests")
        return self.cluster.store.update(
            INCIDENTS, {**made, "status": status}, manager="tests", subresource="status"
        )


@asynccontextmanager
async def shell(folder: Path) -> AsyncIterator[Shell]:
    """A cluster with our definitions, a workload, and a responder that leads in its namespace."""
    tokens = Tokens({"admin": ADMIN, "nobody": User("nobody")})
    async with Cluster.start(clock=SystemClock(), tokens=tokens) as cluster:
        for path in sorted((CHECKOUT / "deploy" / "base" / "crds").glob("*.yaml")):
            cluster.apply(yaml.safe_load(path.read_text(encoding="utf-8")))
        for name in (NAMESPACE, HOME):
            cluster.store.create(NAMESPACES, {"metadata": {"name": name}}, manager="tests")
        lease = {"metadata": {"name": HOME, "namespace": HOME}, "spec": {}}
        cluster.store.create(LEASES, lease, manager="tests")
        cluster.apply(deployment(NAME, namespace=NAMESPACE, image="app:v1"))
        yield Shell(cluster, folder)
