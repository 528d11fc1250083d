"""What a traffic proof has to show, fixed when the undo was accepted. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from responder.workloads.key import WorkloadKey
from responder.workloads.templates import Template


@dataclass(frozen=True, slots=True)
class Claim:
    """One revision serves all traffic of one workload.

    `template` is the target's, as the patch wrote it; `generation` comes from the answer to the patch, not
    from a look before it. `services` are those the rule file names. `stale_progressing_at` is the
    lastUpdateTime of a Deployment's Progressing condition before the patch, by which a deadline that the bad
    rollout missed is told from one that the undo missed. `bad` is the template that was undone, None where
    history lost it.
    """

    key: WorkloadKey
    workload_uid: str
    target_uid: str
    template: Template
    generation: int
    services: tuple[str, ...]
    stale_progressing_at: str | None
    bad: Template | None = None
