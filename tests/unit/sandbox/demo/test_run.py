"""What is refused before the first story starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.errors import ResponderError
from responder.sandbox.demo.run import check_writable, run_demo


def test_a_record_in_a_folder_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ResponderError, match=f"there is no folder {missing}"):
        run_demo(("slow",), json_path=missing / "record.json", require_real=False, hold=False)
    assert not missing.exists()


def test_a_record_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(ResponderError, match="it is a folder"):
        check_writable(tmp_path)
    check_writable(tmp_path / "record.json")
    check_writable(Path("record.json"))
