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
from responder.sandbox.demo.stories import BAD, ON_CALL
from responder.sandbox.world import World, image

_TICK = timedelta(seconds=0.25)


class Source(StrEnum):
    """Who tells it."""

    RELEASE = "release"
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
    wanted = image(world.name, version)
    for rs in world.cluster.store.scan("replicasets.apps", world.namespace):
        if rs["spec"]["template"]["spec"]["containers"][0]["image"] == wanted:
            return str(rs["metadata"]["uid"])
    return ""


def undos(world: World) -> list[RequestRecord]:
    """The accepted writes over HTTP that changed the Deployment's template."""
    return [write for write in world.cluster.log.writes("/deployments/") if _changes_template(write.body)]


def _changes_template(body: Any) -> bool:
    if isinstance(body, list):
        return any(op.get("op") != "test" and op.get("path", "").startswith("/spec/template") for op in body)
    return isinstance(body, dict) and "template" in (body.get("spec") or {})


def _people(act: Act) -> Iterator[Happening]:
    assert act.released_at is not None
    yield Happening(act.released_at, Source.RELEASE, f"{BAD} is released")
    if act.clicked_at is not None:
        answer = "unanswered" if act.click is None else f"answered {act.click.status}"
        yield Happening(act.clicked_at, Source.PERSON, f'{ON_CALL.name} presses "Roll back", {answer}')
    if act.calmed_at is not None:
        yield Happening(act.calmed_at, Source.RELEASE, f"{BAD} gets better by itself")


def first_fault_at(act: Act) -> datetime | None:
    """When the first client met the fault: the first error; where v2 is slow, its first answer."""
    oracle, bad = act.stage.world.oracle, replica_set_uid(act.stage.world, BAD)
    if act.stage.story.error_rate == 0:
        return oracle.first_request_to(bad)
    for slot in oracle.timeline(_TICK, since=act.released_at):
        if bad in slot.revisions and slot.revisions[bad].errors:
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
    known = {rule.alert_name for rule in act.stage.file.rules}
    for name, at in act.probe.active_from.items():
        if name in known:
            yield Happening(at, Source.PROMETHEUS, f"{name} is pending")


def _incident(act: Act) -> Iterator[Happening]:
    incident = act.witness.incident
    if incident is None:
        return
    for alert in incident["spec"]["alerts"].values():
        started_at, name = datetime.fromisoformat(alert["startsAt"]), alert["labels"]["alertname"]
        leads = name == act.stage.rule.alert_name
        yield Happening(started_at, Source.PROMETHEUS, f"{name} fires", Step.ALERT if leads else None)
        at = act.witness.received[name]
        yield Happening(at, Source.INCIDENT, f"{name} is received", Step.RECEIVED if leads else None)
    decided = "RollBack" if act.stage.story.undone else "Tell"
    for entry in act.witness.status.get("timeline", ()):
        event = entry["event"]
        if event == "Undo":  # told by the API server itself
            continue
        step = Step.DECIDED if event == decided else _STEP_BY_EVENT.get(event)
        text = f"{event}: {entry['message']}"
        yield Happening(datetime.fromisoformat(entry["at"]), Source.INCIDENT, text, step)


_STEP_BY_EVENT = {
    "TrafficProven": Step.TRAFFIC,
    "RolledBack": Step.RECOVERED,
    "Recovered": Step.RECOVERED,
    "Closed": Step.CLOSED,
}


def _cluster(act: Act) -> Iterator[Happening]:
    for write in undos(act.stage.world):
        yield Happening(write.at, Source.CLUSTER, f"{write.method} undoes the release", Step.UNDO)


def _slack(act: Act) -> Iterator[Happening]:
    for message in act.stage.world.slack.messages:
        said = ""
        for content in message.versions:
            if content.text != said:
                yield Happening(content.at, Source.SLACK, html.unescape(content.text))
            said = content.text


def _pagerduty(act: Act) -> Iterator[Happening]:
    for alert in act.stage.world.pagerduty.alerts.values():
        for event in alert.events:
            said = f": {event.payload.get('summary', '')}" if event.payload else ""
            yield Happening(event.at, Source.PAGERDUTY, f"{event.action}{said}")
