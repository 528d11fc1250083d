"""What a story is judged by: the oracle's counts, the API server's log, the inboxes; gathered at its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.sandbox.demo.act import Act
from responder.sandbox.demo.chronicle import first_fault_at, replica_set_uid, undos
from responder.sandbox.demo.stories import BAD, GOOD, Story
from responder.sandbox.demo.witness import INCIDENTS
from responder.sandbox.oracle import Tally

_AT_THE_END = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Page:
    """An alert in PagerDuty: how often it paged somebody, and whether it is resolved."""

    dedup_key: str
    pages: int
    resolved: bool
    triggered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Undo:
    """An accepted write that changed the Deployment's template."""

    at: datetime
    user: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The truth about a story. `served` are the requests since the release by version.

    `bad_after_proof` are the requests that v2 answered after the traffic was said to be proven, None where it
    never was; `error_share_at_end` is the share of requests that failed in the last seconds. `phase` and
    `reason` are what the incident said last.
    """

    story: Story
    overdue: str
    released_at: datetime
    ended_at: datetime
    version: str
    undos: tuple[Undo, ...]
    other_writes: int
    served: dict[str, Tally]
    refused: int
    first_fault_at: datetime | None
    last_bad_at: datetime | None
    bad_after_proof: int | None
    error_share_at_end: float
    slack_messages: tuple[str, ...]
    pages: tuple[Page, ...]
    clicked_at: datetime | None
    click_taken: bool
    incidents: int
    outcome: str
    phase: str
    reason: str


def gather_evidence(act: Act) -> Evidence:
    """Everything the judge needs, as it stands now."""
    if act.released_at is None or act.ended_at is None:
        raise ValueError("the story was not played")
    world = act.stage.world
    uids = {version: replica_set_uid(world, version) for version in (GOOD, BAD)}
    served = world.oracle.requests_by_revision(act.released_at)
    proven_at = act.witness.time("trafficProvenAt")
    after_proof = {} if proven_at is None else world.oracle.requests_by_revision(proven_at)
    patches = undos(world)
    return Evidence(
        story=act.stage.story,
        overdue=act.overdue,
        released_at=act.released_at,
        ended_at=act.ended_at,
        version=world.version,
        undos=tuple(Undo(write.at, write.user) for write in patches),
        other_writes=len(world.cluster.log.writes("/deployments/")) - len(patches),
        served={version: served.get(uid, Tally()) for version, uid in uids.items()},
        refused=world.oracle.refused(act.released_at),
        first_fault_at=first_fault_at(act),
        last_bad_at=world.oracle.last_request_to(uids[BAD]),
        bad_after_proof=None if proven_at is None else after_proof.get(uids[BAD], Tally()).requests,
        error_share_at_end=world.oracle.error_share(act.ended_at - _AT_THE_END),
        slack_messages=tuple(m.current.text for m in world.slack.messages if m.thread_ts is None),
        pages=tuple(
            Page(
                alert.dedup_key,
                alert.pages,
                alert.state == "resolved",
                next((event.at for event in alert.events if event.action == "trigger"), None),
            )
            for alert in world.pagerduty.alerts.values()
        ),
        clicked_at=act.clicked_at,
        click_taken=act.click is not None and act.click.taken,
        incidents=len(world.cluster.store.list(INCIDENTS)),
        outcome=str(act.witness.status.get("outcome") or ""),
        phase=act.witness.phase,
        reason=str(act.witness.status.get("reason") or ""),
    )
