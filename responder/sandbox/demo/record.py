"""The demo's record: what was run, from where the alerts came, what happened when, and how it was judged."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from responder.sandbox.demo.act import Act
from responder.sandbox.demo.chronicle import Happening, Step, chronicle, step_times
from responder.sandbox.demo.evidence import Evidence, gather_evidence
from responder.sandbox.demo.judge import Finding, judge
from responder.sandbox.demo.rules import SHORTENED
from responder.sandbox.demo.source import AlertSource
from responder.sandbox.demo.stories import Story


@dataclass(frozen=True, slots=True)
class Result:
    """A story that was played and judged. `log_tail` is the end of the responder's log."""

    story: Story
    evidence: Evidence
    findings: tuple[Finding, ...]
    happenings: tuple[Happening, ...]
    guards: tuple[dict[str, Any], ...]
    proofs: tuple[dict[str, Any], ...]
    log: Path
    log_tail: str

    @property
    def passed(self) -> bool:
        """Whether it ended as it should."""
        return all(finding.passed for finding in self.findings)

    def seconds_to(self, step: Step) -> float | None:
        """From the release to the step; None where there was none."""
        at = step_times(self.happenings).get(step)
        return None if at is None else (at - self.evidence.released_at).total_seconds()


def conclude(act: Act) -> Result:
    """Judge a story that was played."""
    evidence = gather_evidence(act)
    return Result(
        story=act.stage.story,
        evidence=evidence,
        findings=judge(evidence),
        happenings=chronicle(act),
        guards=tuple(act.witness.guards),
        proofs=tuple(act.witness.proofs),
        log=act.stage.responder.log,
        log_tail=act.stage.responder.tail(),
    )


def write_record(
    path: Path,
    source: AlertSource,
    results: tuple[Result, ...],
    *,
    started_at: datetime,
    ended_at: datetime,
) -> None:
    """Write the record as JSON. Raises OSError."""
    record = render_record(source, results, started_at=started_at, ended_at=ended_at)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def render_record(
    source: AlertSource, results: tuple[Result, ...], *, started_at: datetime, ended_at: datetime
) -> dict[str, Any]:
    """The record as plain data: instants in ISO 8601, durations in seconds since the release."""
    return {
        "passed": bool(results) and all(result.passed for result in results),
        "alert_source": {"kind": "real" if source.real else "built-in", "versions": dict(source.versions)},
        "versions": {"responder": version("responder"), "python": platform.python_version()},
        "started_at": started_at.isoformat(),
        "ended_at": ended_at.isoformat(),
        "seconds": round((ended_at - started_at).total_seconds(), 1),
        "shortened": dict(SHORTENED),
        "stories": [_render_story(result) for result in results],
    }


def _render_story(result: Result) -> dict[str, Any]:
    evidence = result.evidence
    return {
        "name": result.story.name,
        "should_be": result.story.ending.value,
        "passed": result.passed,
        "findings": [
            {"check": each.check, "passed": each.passed, "found": each.text} for each in result.findings
        ],
        "released_at": evidence.released_at.isoformat(),
        "seconds": {step.value: _rounded(result.seconds_to(step)) for step in Step},
        "oracle": {
            "requests": {each: tally.requests for each, tally in evidence.served.items()},
            "errors": {each: tally.errors for each, tally in evidence.served.items()},
            "refused": evidence.refused,
            "bad_after_traffic_proof": evidence.bad_after_proof,
            "error_share_at_end": evidence.error_share_at_end,
        },
        "undos": [undo.at.isoformat() for undo in evidence.undos],
        "incident": {"outcome": evidence.outcome, "guards": _verdicts(result.guards)},
        "proofs": _verdicts(result.proofs),
        "slack": list(evidence.slack_messages),
        "pagerduty": [{"pages": page.pages, "resolved": page.resolved} for page in evidence.pages],
        "happenings": [
            {
                "seconds": _rounded((each.at - evidence.released_at).total_seconds()),
                "source": each.source.value,
                "text": each.text,
            }
            for each in result.happenings
        ],
    }


def _verdicts(verdicts: tuple[dict[str, Any], ...]) -> list[dict[str, str]]:
    return [{key: str(each[key]) for key in ("check", "result", "reason", "message")} for each in verdicts]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
