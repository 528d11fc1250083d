"""The README's commands, run as they stand there on what a real story left behind, print what it shows."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.flow.harness import INCIDENTS, QUICK, SHORT, stage
from tests.shared import CHECKOUT, run_story
from tests.unit.cli.commands import NAMESPACE, RECORDS, Shell, shell

MINUTE = timedelta(minutes=1)
# Numbers, ages, instants and hashes differ from run to run; in the README they are those of one.
_VOLATILE = re.compile(r"\b[0-9a-f]{6,10}\b|\b(\d+(d|h|m|s|ms))+\b|\d[\d.:+TZe-]*")


def steps() -> list[tuple[str, list[str]]]:
    """Each command of the README's console blocks, and what is shown below it."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def masked(line: str) -> str:
    return " ".join(_VOLATILE.sub("N", line).split())


def agree(shown: list[str], printed: list[str]) -> bool:
    """Whether it was printed so; a line of three dots stands for any number of lines."""
    if not shown:
        return not printed
    if shown[0].strip() == "...":
        return any(agree(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and masked(shown[0]) == masked(printed[0]) and agree(shown[1:], printed[1:])


def play(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """A bad release is undone, another one comes within the cooldown; returns what is left in the cluster."""

    async def story() -> list[tuple[str, dict[str, Any]]]:
        async with stage(folder, SHORT, **QUICK) as here:
            await here.rest(3 * MINUTE)
            here.world.release("v2", error_rate=0.05)
            await here.phase("Closed", 20 * MINUTE)
            await here.rest(MINUTE)
            here.world.release("v3", error_rate=0.05)
            await here.reason("CooldownActive", 6 * MINUTE, sequence=2)
            await here.rest(MINUTE)
            objects: list[tuple[str, dict[str, Any]]] = [(INCIDENTS, each) for each in here.incidents()]
            return [*objects, (RECORDS, here.record())]

    return run_story(story())


def put(sh: Shell, resource: str, obj: dict[str, Any]) -> None:
    kept = {key: obj["metadata"][key] for key in ("name", "namespace", "labels") if key in obj["metadata"]}
    made = sh.cluster.store.create(resource, {**obj, "metadata": kept}, manager="tests")
    if resource == INCIDENTS:
        made["status"] = obj["status"]
        sh.cluster.store.update(resource, made, manager="tests", subresource="status")


def payload() -> str:
    labels = {
        "alertname": "HighErrorRate",
        "namespace": NAMESPACE,
        "deployment": "payment-service",
        "responder_rule": "payment-service/high-error-rate",
    }
    fires = {"status": "firing", "startsAt": "2026-03-02T09:30:00Z"}
    alerts = [
        {**fires, "labels": labels, "fingerprint": "f1"},
        {**fires, "labels": {"alertname": "DiskFull", "namespace": NAMESPACE}, "fingerprint": "f2"},
    ]
    return json.dumps({"version": "4", "alerts": alerts})


async def run_all(folder: Path, objects: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, list[str]]]:
    """Every command of the README in order, and what it printed."""
    path = folder / "payload.json"
    path.write_text(payload(), encoding="utf-8")
    printed = []
    async with shell(folder) as sh:
        for resource, obj in objects:
            put(sh, resource, obj)
        (record,) = (obj for resource, obj in objects if resource == RECORDS)
        bad = record["spec"]["knownBad"][0]["revision"]["hash"]
        for command, _ in steps():
            program, *words = shlex.split(command)
            assert program == "responder"
            # The hash is of the story that the README shows; the file lies elsewhere.
            after_forget = {n + 1 for n, word in enumerate(words) if word == "--forget"}
            words = [bad if n in after_forget else word for n, word in enumerate(words)]
            words = [str(path) if word == "payload.json" else word for word in words]
            printed.append((command, (await sh.ok(*words)).splitlines()))
    return printed


def test_the_commands_print_what_the_readme_shows(tmp_path: Path) -> None:
    objects = play(tmp_path / "story")
    printed = asyncio.run(run_all(tmp_path, objects))
    assert {command.split()[1] for command, _ in printed} == {
        *("incidents", "explain", "known-bad", "freeze", "unfreeze")
    }
    for (command, lines), (_, shown) in zip(printed, steps(), strict=True):
        assert agree(shown, lines), "\n".join([f"$ {command}", *lines])
