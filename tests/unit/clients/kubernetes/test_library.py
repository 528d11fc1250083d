"""The library in its small form is enough to connect, and stays small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from responder.sandbox.api.server import kubeconfig

PROGRAM = """
import asyncio, sys
from pathlib import Path
from responder.clients.kubernetes import connect

async def main():
    api = await connect(Path(sys.argv[1]))
    await api.close()

asyncio.run(main())
loaded = [name for name in sys.modules if name.startswith("kubernetes_asyncio.")]
assert "kubernetes_asyncio.client.rest" in loaded
assert "urllib3" not in sys.modules
print([name for name in loaded if ".client.models." in name or ".client.api." in name])
"""


def test_connecting_imports_no_generated_model(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:1")), encoding="utf-8")
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
