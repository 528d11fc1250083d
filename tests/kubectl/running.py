"""Runs kubectl as a child process, away from whatever the developer's own is configured to do."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NAMESPACE = "shop"
_GIVE_UP_SECONDS = 60


def find_kubectl() -> Path | None:
    """Return the kubectl that is installed beside the interpreter, None without one."""
    found = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    return None if found is None else Path(found)


@dataclass(frozen=True, slots=True)
class Result:
    """How one command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """What was printed, line by line."""
        return self.stdout.splitlines()

    @property
    def cells(self) -> list[list[str]]:
        """What was printed, as rows of words."""
        return [line.split() for line in self.lines]

    def json(self) -> Any:
        """What was printed, as JSON."""
        return json.loads(self.stdout)


class Kubectl:
    """kubectl with a kubeconfig; folder is its home, and where that is written."""

    def __init__(self, binary: Path, folder: Path, config: Mapping[str, Any]) -> None:
        self._binary = binary
        self._folder = folder
        self._config = folder / f"config-{len(list(folder.iterdir()))}"
        self._config.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")

    async def run(self, *words: str, stdin: object = None) -> Result:
        """Run kubectl with these words, an object (or several, or text) on its standard input."""
        process = await self.start(*words)
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            output, errors = await process.communicate(_document(stdin).encode())
        assert process.returncode is not None
        return Result(process.returncode, output.decode(), errors.decode())

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """Start kubectl and return the process, which the caller ends."""
        return await asyncio.create_subprocess_exec(
            str(self._binary),
            *words,
            env={"HOME": str(self._folder), "KUBECONFIG": str(self._config), "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def ok(self, *words: str, stdin: object = None) -> str:
        """Run kubectl and return what it printed; it has to succeed without a word on standard error."""
        result = await self.run(*words, stdin=stdin)
        assert (result.exit_code, result.stderr) == (0, ""), f"kubectl {' '.join(words)}: {result}"
        return result.stdout

    async def get(self, *words: str) -> Any:
        """Return an object or a list as kubectl prints it in JSON."""
        return json.loads(await self.ok("get", *words, "--output=json"))


def _document(stdin: object) -> str:
    if stdin is None:
        return ""
    if isinstance(stdin, str):
        return stdin
    items = stdin if isinstance(stdin, list) else [stdin]
    return yaml.safe_dump_all(items)


def deployment(name: str = "web", *, image: str = "registry.example/web:1", replicas: int = 2) -> Any:
    """A Deployment with what clients merge by keys: ports, env, volumes, mounts."""
    labels = {"app": name}
    container = {
        "name": "app",
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
        "env": [{"name": "MODE", "value": "fast"}, {"name": "LEVEL", "value": "info"}],
        "volumeMounts": [{"name": "work", "mountPath": "/tmp/work"}],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "volumes": [{"name": "work", "emptyDir": {}}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def service(name: str = "web") -> Any:
    """A Service in front of it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }


def incident(name: str = "web-1") -> Any:
    """An Incident as the responder writes one."""
    return {
        "apiVersion": "responder.dev/v1alpha1",
        "kind": "Incident",
        "metadata": {"name": name},
        "spec": {
            "workload": {"kind": "Deployment", "name": "web"},
            "sequence": 1,
            "receivedAt": "2026-01-01T00:00:00Z",
        },
    }
