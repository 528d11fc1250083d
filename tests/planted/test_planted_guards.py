"""Without a guard its situation turns red, and with a defect of the verifier the random undos do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.planted import test_planted
from tests.planted.conftest import SEEN
from tests.planted.defects import Defect
from tests.planted.guards import GUARD_DEFECTS, VERIFIER_DEFECTS
from tests.planted.test_planted import FAILED, plant, run

pytestmark = pytest.mark.slow

# A random undo takes a second or two, and the rarest thing to happen may come late.
SECONDS = 600


original = test_planted.original


@pytest.mark.parametrize("defect", [*GUARD_DEFECTS, *VERIFIER_DEFECTS], ids=lambda defect: defect.name)
def test_a_planted_defect_turns_its_test_red(
    defect: Defect,
    original: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    plant(original, defect, tmp_path)
    outcomes = run(tmp_path, defect.tests, tmp_path_factory.getbasetemp() / "cache", SECONDS)
    assert len(outcomes) == 1
    assert [message for message in outcomes.values() if not message.startswith(FAILED)] == []
    for test in defect.tests:
        record_property(SEEN, (defect.name, test))
