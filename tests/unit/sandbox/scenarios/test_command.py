"""`responder sandbox` as a process: what it prints can be used, and it ends when it is told to."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio import StreamReader
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.shared import CHECKOUT

SCENARIO = """
apiVersion: responder.dev/v1alpha1
kind: SandboxScenario
rules: {rules}
workloads:
  - {{namespace: payments, name: payment-service, replicas: 2}}
events:
  - at: 0s
    scale: {{workload: payments/payment-service, replicas: 3}}
"""
WITHIN_SECONDS = 30


async def read_until(output: StreamReader, end: str) -> str:
    """What the process prints up to a line that contains end."""
    text = ""
    async with asyncio.timeout(WITHIN_SECONDS):
        while end not in text:
            line = await output.readline()
            assert line, f"the process ended after: {text}"
            text += line.decode()
    return text


def exported(text: str) -> dict[str, str]:
    """The variables that a person would copy."""
    lines = [line.removeprefix("export ") for line in text.splitlines() if line.startswith("export ")]
    return dict(line.split("=", 1) for line in lines)


def way_in(path: str) -> tuple[str, str]:
    """The server and the token of a kubeconfig."""
    content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    return content["clusters"][0]["cluster"]["server"], content["users"][0]["user"]["token"]


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> Any:
    """The answer's JSON, or text."""
    async with session.get(url, headers=headers) as response:
        assert response.status == 200
        return await (response.json() if response.content_type == "application/json" else response.text())


async def test_it_serves_what_it_prints_until_it_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO.format(rules=CHECKOUT / "rules"), encoding="utf-8")
    command = ("-m", "responder", "sandbox", str(path), "--folder", str(tmp_path / "out"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        printed = await read_until(process.stdout, "Runs until Ctrl-C")
        variables = exported(printed)
        told = await read_until(process.stdout, "last event")
        assert "scale payments/payment-service to 3" in told
        # A variable would lead the people's commands in this shell in as the responder as well.
        assert "RESPONDER_KUBECONFIG" not in variables
        server, token = way_in(printed.partition("responder serve --kubeconfig ")[2].split()[0])
        async with aiohttp.ClientSession() as session:
            bearer = {"Authorization": f"Bearer {token}"}
            deployments = f"{server}/apis/apps/v1/namespaces/payments/deployments"
            found = await get(session, f"{deployments}/payment-service", **bearer)
            assert found["spec"]["replicas"] == 3
            everything, _ = way_in(variables["KUBECONFIG"])
            config_map = {"metadata": {"name": "mine"}, "data": {"key": "value"}}
            applied = f"{everything}/api/v1/namespaces/default/configmaps"
            async with session.post(applied, json=config_map) as response:
                assert response.status == 201
            assert (await get(session, f"{applied}/mine"))["data"] == {"key": "value"}
            inboxes = variables["RESPONDER_PAGERDUTY_URL"]
            assert "<html" in await get(session, f"{inboxes}/")
            rules = await get(session, f"{variables['RESPONDER_PROMETHEUS_URL']}/api/v1/rules")
            assert rules["data"]["groups"]
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(WITHIN_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def refused(*arguments: str) -> str:
    """Why the command ended with exit code 1."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "responder", "sandbox", *arguments),
        cwd=CHECKOUT,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_SECONDS):
        _, errors = await process.communicate()
    assert process.returncode == 1
    return errors.decode()


async def test_a_mistake_in_the_file_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("kind: SandboxScenario\n", encoding="utf-8")
    assert (await refused(str(path))).startswith(
        f"responder: {path}:1: apiVersion: is needed, and is not there"
    )


async def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = await refused("--first-port", str(port), "--folder", str(tmp_path))
    assert said.startswith(
        f"responder: can't listen on 127.0.0.1:{port}: Address already in use. Give another"
    )
    assert said.count("\n") == 1


async def test_a_folder_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = await refused("--folder", str(tmp_path / "file" / "out"))
    assert said.startswith(
        f"responder: can't write {tmp_path}/file/out: Not a directory. Name another folder"
    )
    assert said.count("\n") == 1
