"""The files around the code agree with it: the README's map, the commands, the lock, the licence."""

from __future__ import annotations

import re
import subprocess

from tests.shared import CHECKOUT
from tests.tidy.tree import PACKAGE, pyproject


def read(name: str) -> str:
    return (CHECKOUT / name).read_text()


def mapped() -> list[str]:
    """The paths of the README's map: each line between the marks that begins with a path in backticks."""
    inside = re.search(r"<!-- map -->\n(.*?)<!-- /map -->", read("README.md"), re.DOTALL)
    assert inside, "README.md has no map of the code between <!-- map --> and <!-- /map -->"
    return re.findall(r"^[ |*-]*`([^`]+)`", inside[1], re.MULTILINE)


def rank_by_room() -> dict[str, int]:
    """How deep each room of responder/ lies in the layers; rooms that share a layer share the number."""
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return {room.strip(): depth for depth, layer in enumerate(layers) for room in layer.split("|")}


def test_the_map_lists_every_room_in_order() -> None:
    rooms = [
        path.removeprefix("responder/").rstrip("/") for path in mapped() if path.startswith("responder/")
    ]
    tops = {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and not path.stem.startswith("__")) or (path / "__init__.py").is_file()
    }
    names = [room.removesuffix(".py") for room in rooms]
    assert len(names) == len(set(names))
    assert set(names) == tops
    ranks = [rank_by_room()[name] for name in names]
    assert ranks in (sorted(ranks), sorted(ranks, reverse=True)), "the map must follow the layers, one way"


def test_everything_on_the_map_exists() -> None:
    assert [path for path in mapped() if not (CHECKOUT / path).exists()] == []
    assert [path for path in mapped() if path.endswith("/") != (CHECKOUT / path).is_dir()] == []


def test_every_make_command_that_is_told_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for name in ("README.md", ".ci/run"):
        told = set(re.findall(r"(?:^|`|step )make ([a-z-]+)", read(name), re.MULTILINE))
        assert told <= targets, name
        assert {"test", "demo"} <= told, name


def test_ci_runs_what_a_developer_runs() -> None:
    assert ".ci/run" in read(".github/workflows/ci.yml")
    assert "RESPONDER_REQUIRE_REAL=1" in read(".ci/run")
    check = re.search(r"^check: ([a-z -]+?) *##", read("Makefile"), re.MULTILINE)
    assert check
    assert all(f"make {target}" in read(".ci/run") for target in check[1].split())


def test_every_target_is_explained() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", read("Makefile"), re.MULTILINE)
    assert phony
    explained = set(re.findall(r"^([a-z-]+):.*## .+$", read("Makefile"), re.MULTILINE))
    assert explained == set(phony[1].split())


def test_the_lock_names_no_address() -> None:
    assert re.findall(r".*(?:://|--index|--find-links|--trusted-host| @ ).*", read("requirements.lock")) == []


def test_the_lock_pins_and_hashes_everything() -> None:
    entries = re.split(r"\n(?=\S)", read("requirements.lock").strip())
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==[^\s;]+( ; [^\\]+)? \\\n", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_lock_covers_what_the_project_asks_for() -> None:
    project = pyproject()["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(need for extra in extras for need in extra)]
    names = {normal(need) for need in asked} - {project["name"]}
    locked = {line.partition("==")[0] for line in read("requirements.lock").splitlines() if line[:1] != " "}
    assert names - locked == set()
    # What builds the project is locked as well, as nothing else is fetched.
    assert "setuptools" in locked


def normal(requirement: str) -> str:
    """The name in a requirement, as the lock writes it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_changes_are_told() -> None:
    assert "\n## Unreleased\n" in read("CHANGELOG.md")


def test_the_licence_is_apache() -> None:
    assert "Apache License" in read("LICENSE")
    assert pyproject()["project"]["license"]["text"] == "Apache-2.0"


def test_what_is_built_is_ignored() -> None:
    assert {"build/", ".venv/", "__pycache__/"} <= set(read(".gitignore").splitlines())


def test_scripts_can_be_run() -> None:
    scripts = [path for path in (CHECKOUT / ".ci").iterdir() if path.is_file()]
    assert scripts
    for script in scripts:
        assert script.stat().st_mode & 0o111, script.name
        subprocess.run(["bash", "-n", script], check=True, timeout=10)
        assert "set -euo pipefail" in script.read_text(), script.name
