"""Each defect of the table, planted into a copy of the package, turns the tests red that are named for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.planted.conftest import SEEN
from tests.planted.defects import DEFECTS, Defect
from tests.shared import CHECKOUT

pytestmark = pytest.mark.slow

COPIED = ("responder", "tests", "rules", "deploy", "pyproject.toml")
# How a test fails that was made for it; anything else is a broken plant.
FAILED = ("AssertionError", "assert ", "Failed: ", "not within ", "DID NOT RAISE ")
SECONDS = 300
# Of all of them together, as they are.
ALL_SECONDS = 900

Outcomes = dict[str, str]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the tests need, as it is: taken once, so that no edit comes between."""
    folder = tmp_path_factory.mktemp("original")
    for name in COPIED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def run(folder: Path, tests: Iterable[str], cache: Path, seconds: int = SECONDS) -> Outcomes:
    """Run tests on the package in this folder: by name, "" for passed, or how it failed."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(folder), "PYTHONPYCACHEPREFIX": str(cache)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode in (0, 1), done.stdout[-4000:] + done.stderr[-4000:]
    cases = list(ElementTree.parse(report).iter("testcase"))
    assert not [case for case in cases if case.find("error") is not None], done.stdout[-4000:]
    return {case.attrib["name"]: _failure(case) for case in cases}


def _failure(case: ElementTree.Element) -> str:
    failure = case.find("failure")
    return "" if failure is None else failure.attrib["message"]


def plant(original: Path, defect: Defect, folder: Path) -> None:
    """Copy the package and change it."""
    shutil.copytree(original, folder, dirs_exist_ok=True)
    for file, before, after in ((defect.file, defect.before, defect.after), *defect.also):
        path = folder / "responder" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"the plant has to match {file} exactly once: {before}"
        path.write_text(text.replace(before, after), encoding="utf-8")


def test_without_a_defect_every_named_test_passes(
    original: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    named = sorted({test for defect in DEFECTS for test in defect.tests})
    outcomes = run(original, named, tmp_path_factory.getbasetemp() / "cache", ALL_SECONDS)
    assert {name: message for name, message in outcomes.items() if message} == {}
    assert len(outcomes) == len(named)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_turns_its_tests_red(
    defect: Defect,
    original: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    plant(original, defect, tmp_path)
    cache = tmp_path_factory.getbasetemp() / "cache"
    outcomes = run(tmp_path, defect.tests, cache)
    assert len(outcomes) == len(defect.tests)
    unseen = {name: message for name, message in outcomes.items() if not message.startswith(FAILED)}
    assert unseen == {}
    for test in defect.tests:
        record_property(SEEN, (defect.name, test))
