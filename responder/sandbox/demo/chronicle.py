"""What happened in a story, in order, from everybody who saw something. Derived anew at each question.

Told by the oracle, Prometheus, the incident's custom resource, the API server's request log and the inboxes.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from responder.sandbox.api.request_log import RequestRecord
from responder.sandbox.demo.act import Act
from responder.sandbox.demo.stories import BAD, GOOD, ON_CALL, Ending
from responder.sandbox.demo.wording import Names, newly_said, without_reason
from responder.sandbox.world import World, image

_TICK = timedelta(seconds=0.25)


class Source(StrEnum):
    """Who tells it."""

    RELEASE = "release"
    DEPENDENCY = "dependency"
    CLIENTS = "clients"
    PROMETHEUS = "prometheus"
    INCIDENT = "incident"
    CLUSTER = "cluster"
    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    PERSON = "person"


class Step(StrEnum):
    """The steps that are timed, in their order."""

    FAULT = "first fault"
    ALERT = "alert"
    RECEIVED = "received"
    DECIDED = "decided"
    UNDO = "undo"
    LAST_BAD = "last request to v2"
    TRAFFIC = "traffic proven"
    RECOVERED = "recovered"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened. `step` is set where it is one of those that are timed."""

    at: datetime
    source: Source
    text: str
    step: Step | None = None


def chronicle(act: Act) -> tuple[Happening, ...]:
    """Everything so far, oldest first."""
    if act.released_at is None:
        return ()
    tellers = (_people, _clients, _prometheus, _incident, _cluster, _slack, _pagerduty)
    happenings = [happening for teller in tellers for happening in teller(act)]
    return tuple(sorted(happenings, key=lambda happening: happening.at))


def step_times(happenings: tuple[Happening, ...]) -> dict[Step, datetime]:
    """When each timed step first happened."""
    times: dict[Step, datetime] = {}
    for happening in happenings:
        if happening.step is not None:
            times.setdefault(happening.step, happening.at)
    return times


def replica_set_uid(world: World, version: str) -> str:
    """The UID of a version's ReplicaSet, "" while there is none."""
    metadata = _replica_set_metadata(world, version)
    return "" if metadata is None else str(metadata["uid"])


def names_of(world: World) -> Names:
    """What the story's workload and its versions are called in the cluster."""
    found = {version: _replica_set_metadata(world, version) for version in (GOOD, BAD)}
    versions = {str(metadata["name"]): version for version, metadata in found.items() if metadata is not None}
    return Names(f"{world.namespace}/{world.name}", versions)


def _replica_set_metadata(world: World, version: str) -> dict[str, Any] | None:
    wanted = image(world.name, version)
    for rs in world.cluster.store.scan("replicasets.apps", world.namespace):
        if rs["spec"]["template"]["spec"]["containers"][0]["image"] == wanted:
            metadata: dict[str, Any] = rs["metadata"]
            return metadata
    return None


def undos(world: World) -> list[RequestRecord]:
    """The accepted writes over HTTP that changed the Deployment's template."""
    return [write for write in world.cluster.log.writes("/deployments/") if _changes_template(write.body)]


def _changes_template(body: Any) -> bool:
    if isinstance(body, list):
        return any(op.get("op") != "test" and op.get("path", "").startswith("/spec/template") for op in body)
    return isinstance(body, dict) and "template" in (body.get("spec") or {})


def _people(act: Act) -> Iterator[Happening]:
    assert act.released_at is not None
    if act.broken_at is not None:
        share = f"{act.stage.story.error_rate:.0%}"
        text = f"fails: {share} of the requests to {GOOD} do, too"
        yield Happening(act.broken_at, Source.DEPENDENCY, text)
    yield Happening(act.released_at, Source.RELEASE, f"{BAD} is released")
    if act.clicked_at is not None:
        answer = "unanswered" if act.click is None else f"answered {act.click.status}"
        text = f'a simulated person ({ON_CALL.name}) clicks "Roll back", {answer}'
        yield Happening(act.clicked_at, Source.PERSON, text)
    if act.calmed_at is not None:
        yield Happening(act.calmed_at, Source.RELEASE, f"{BAD} gets better by itself")


def first_fault_at(act: Act) -> datetime | None:
    """When the first client met the fault: the first error; where v2 is slow, its first answer."""
    oracle, bad = act.stage.world.oracle, replica_set_uid(act.stage.world, BAD)
    if act.stage.story.error_rate == 0:
        return oracle.first_request_to(bad)
    for slot in oracle.timeline(_TICK, since=act.broken_at or act.released_at):
        if any(tally.errors for tally in slot.revisions.values()):
            return slot.at
    return None


def _clients(act: Act) -> Iterator[Happening]:
    first = first_fault_at(act)
    if first is not None:
        yield Happening(first, Source.CLIENTS, f"{act.stage.story.fault}: the first", Step.FAULT)
    oracle = act.stage.world.oracle
    last = oracle.last_request_to(replica_set_uid(act.stage.world, BAD))
    if undos(act.stage.world) and last is not None and act.clock.now() - last > timedelta(seconds=2):
        yield Happening(last, Source.CLIENTS, f"the last request that {BAD} answers", Step.LAST_BAD)


def _prometheus(act: Act) -> Iterator[Happening]:
    rules = _rule_names(act)
    for name, at in act.probe.active_from.items():
        if name in rules:
            yield Happening(at, Source.PROMETHEUS, f"{rules[name]} is pending")


def _rule_names(act: Act) -> dict[str, str]:
    """The rules by their alerts' names."""
    return {rule.alert_name: rule.name for rule in act.stage.file.rules}


def _incident(act: Act) -> Iterator[Happening]:
    incident = act.witness.incident
    if incident is None:
        return
    rules = _rule_names(act)
    for alert in incident["spec"]["alerts"].values():
        started_at, name = datetime.fromisoformat(alert["startsAt"]), alert["labels"]["alertname"]
        leads, rule = name == act.stage.rule.alert_name, rules.get(name, name)
        yield Happening(started_at, Source.PROMETHEUS, f"{rule} fires", Step.ALERT if leads else None)
        at = act.witness.received[name]
        yield Happening(at, Source.INCIDENT, f"{rule} is received", Step.RECEIVED if leads else None)
    yield from _timeline(act)


_DECIDED_BY_ENDING = {
    Ending.ROLLED_BACK: "RollBack",
    Ending.CLICKED: "RollBack",
    Ending.TOLD: "Tell",
    Ending.ASKED: "Ask",
}
_STEP_BY_EVENT = {
    "TrafficProven": Step.TRAFFIC,
    "RolledBack": Step.RECOVERED,
    "Recovered": Step.RECOVERED,
    "Closed": Step.CLOSED,
}


def _timeline(act: Act) -> Iterator[Happening]:
    """The incident's own lines, and what they leave unsaid: what it waits for, and that it is closed."""
    decided, names = _DECIDED_BY_ENDING[act.stage.story.ending], names_of(act.stage.world)
    events = set()
    for entry in act.witness.status.get("timeline", ()):
        event, at = entry["event"], datetime.fromisoformat(entry["at"])
        events.add(event)
        if event == "Undo":  # told by the API server itself
            continue
        step = Step.DECIDED if event == decided else _STEP_BY_EVENT.get(event)
        yield Happening(at, Source.INCIDENT, f"{event}: {names.shorten(entry['message'])}", step)
        if event == "TrafficProven":
            windows = act.stage.file.rollback.good_windows
            text = f"recovery: waiting for {windows} good windows of {act.stage.metric.name} in a row"
            yield Happening(at, Source.INCIDENT, text)
    closed_at = act.witness.time("closedAt")
    if closed_at is not None and "Closed" not in events:
        yield Happening(closed_at, Source.INCIDENT, "closed", Step.CLOSED)


def _cluster(act: Act) -> Iterator[Happening]:
    for write in undos(act.stage.world):
        yield Happening(write.at, Source.CLUSTER, f"{write.method} undoes the release", Step.UNDO)


def _reasons(act: Act) -> list[str]:
    """What the incident's own lines say, which messages to people say again."""
    names = names_of(act.stage.world)
    return [names.shorten(entry["message"]) for entry in act.witness.status.get("timeline", ())]


def _slack(act: Act) -> Iterator[Happening]:
    names, told = names_of(act.stage.world), _reasons(act)
    for message in act.stage.world.slack.messages:
        said = ""
        for content in message.versions:
            text = names.shorten(html.unescape(content.text))
            if not said:
                yield Happening(content.at, Source.SLACK, f"posts: {without_reason(text, told)}")
            elif text != said:
                new = without_reason(newly_said(said, text), told)
                edit = "edits its message to say so" if new in told else f"edits its message: {new}"
                yield Happening(content.at, Source.SLACK, edit)
            said = text


def _pagerduty(act: Act) -> Iterator[Happening]:
    names, told = names_of(act.stage.world), _reasons(act)
    for alert in act.stage.world.pagerduty.alerts.values():
        paged = False
        for event in alert.events:
            if event.action == "trigger":
                verb, paged = "updates its page" if paged else "pages", True
                summary = names.shorten(event.payload.get("summary", ""))
                text = f"{verb}: {without_reason(summary, told)}"
            else:
                text, paged = f"{event.action}s its page", event.action != "resolve"
            yield Happening(event.at, Source.PAGERDUTY, text)
