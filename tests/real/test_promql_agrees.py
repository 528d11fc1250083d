"""The answers the built-in PromQL is tested on are the ones that the real promtool gives."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.sandbox.binaries import require_binary
from tests.shared_promql import Answer, load_golden

NO_ANSWER = {"labels": "never", "value": 4711}


def ask_promtool(golden: dict[str, Any], folder: Path) -> dict[tuple[str, str], Answer]:
    """Every query at every time: promtool is made to expect what never comes, and says what it got."""
    interval = f"{golden['interval_seconds']}s"
    cases = [
        {"expr": query, "eval_time": time, "exp_samples": [NO_ANSWER]}
        for query in golden["answers"]
        for time in golden["times"]
    ]
    series = [{"series": name, "values": values} for name, values in golden["series"].items()]
    test = {"interval": interval, "input_series": series, "promql_expr_test": cases}
    file = folder / "promql.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": interval, "tests": [test]}), encoding="utf-8")
    done = subprocess.run(
        [require_binary("promtool"), "test", "rules", file],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    said = re.findall(r'expr: (".*"), time: (\w+),\s+exp: .*\s+got: (.*)', done.stdout)
    return {(json.loads(query), time): _vector(got) for query, time, got in said}


def _vector(text: str) -> Answer:
    return dict(re.findall(r"(\w*\{[^{}]*\}) ([-+\w.]+)", text))


def test_promtool_gives_the_golden_answers(tmp_path: Path) -> None:
    golden = load_golden()

    answers = ask_promtool(golden, tmp_path)

    expected = {
        (query, time): one for query, by_time in golden["answers"].items() for time, one in by_time.items()
    }
    assert answers.keys() == expected.keys()
    for question, one in expected.items():
        got = answers[question]
        assert got.keys() == one.keys(), question
        for labels, value in one.items():
            # Prometheus adds series up in no fixed order, so the last digit may differ from run to run.
            close = pytest.approx(float(value), rel=1e-12, nan_ok=True)
            assert float(got[labels]) == close, (question, labels)
