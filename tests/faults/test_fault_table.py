"""The fault table: whatever is out of order, and since when, none loses, doubles, hangs or believes.

Each cell is the story of a bad release that is rolled back, with one fault that begins at one moment of it
and ends. What it comes to stands in expected.py, so that a change shows.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.faults.befalling import FAULTS, STRIKING
from tests.faults.cells import Cell, Moment, Played, play
from tests.faults.expected import MATTER_MOST, expected


def judge(cell: Cell, played: Played) -> None:
    told = "\n".join((*played.problems, *played.log))
    assert not played.problems, told
    assert played.outcome == expected(cell), told


@pytest.mark.parametrize("cell", MATTER_MOST, ids=str)
def test_a_cell_that_matters_most(cell: Cell, table: dict[Cell, Played], tmp_path: Path) -> None:
    played = table[cell] = play(cell, tmp_path)
    judge(cell, played)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
def test_a_fault_at_every_moment(
    fault: str,
    pool: ProcessPoolExecutor,
    table: dict[Cell, Played],
    subtests: pytest.Subtests,
    tmp_path: Path,
) -> None:
    cells = [Cell(fault, moment) for moment in Moment]
    runs = {cell: pool.submit(play, cell, tmp_path / cell.moment.name) for cell in cells}
    for cell, run in runs.items():
        with subtests.test(msg=str(cell)):
            played = table[cell] = run.result()
            judge(cell, played)
    if fault in [each.name for each in STRIKING]:
        assert any(table[cell].hits for cell in cells), "struck nobody"
