"""What a story came to, as far as it must be the same whoever was killed; and what no story may come to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from responder.actions.messages_slack import render_slack
from responder.incidents.model import OPEN_LABEL, parse_incident
from tests.crash.stage import Scene
from tests.flow.harness import version_of

Outcome = dict[str, Any]


def read_outcome(here: Scene) -> Outcome:
    """The end of a story, in words that don't differ from run to run."""
    return {
        "incidents": [_incident(here, item) for item in here.incidents()],
        "template patches": len(here.undos()),
        "versions": here.versions,
        "slack messages": len(here.world.slack.messages),
        "pages": [_page(here, item) for item in here.incidents()],
        "alerts in PagerDuty": len(here.world.pagerduty.alerts),
        "changes in PagerDuty": sorted({change["summary"] for change in here.world.pagerduty.changes}),
        "record": _record(here),
        "decided": sorted(
            {
                decision["spec"]["choice"]
                for decision in here.world.cluster.store.list("decisions.responder.dev", here.world.namespace)
            }
        ),
    }


def find_unfinished(here: Scene) -> Iterator[str]:
    """What is still to come after the last phase: marks to be taken away, people to be told."""
    for item in here.incidents():
        name = item["metadata"]["name"]
        if item.get("status", {}).get("phase") != "Closed":
            yield f"{name} is not closed"
        elif OPEN_LABEL in item["metadata"].get("labels", {}):
            yield f"{name} is closed and still marked as open"
        incident, file = parse_incident(item), here.world.plan.file
        told = [m for m in here.world.slack.messages if incident.metadata.uid in str(m.metadata)]
        # Not all of it: an alert may be written to an incident that has just closed.
        wanted, said = render_slack(incident, file).text, [message.current.text for message in told]
        if said != [wanted]:
            yield f"{name}: Slack says {said} instead of {wanted!r}"
    sequence, record = len(here.incidents()) + 1, here.record()
    if record["spec"].get("nextSequence") != sequence:
        yield f"the record says that incident {record['spec'].get('nextSequence')} is next, not {sequence}"


def _incident(here: Scene, item: dict[str, Any]) -> Outcome:
    status = item["status"]
    rollback = status.get("rollback") or {}
    return {
        "name": item["metadata"]["name"],
        "phase": status["phase"],
        "outcome": status.get("outcome"),
        "reason": status.get("reason"),
        "rule": status.get("rule"),
        "conditions": {each["type"]: each["status"] for each in status.get("conditions", [])},
        "followed by": status.get("followedBy"),
        "rollback": {key: rollback.get(key) for key in ("attempt", "state", "automatic", "by")},
        "messages": len([m for m in here.world.slack.messages if item["metadata"]["uid"] in str(m.metadata)]),
    }


def _page(here: Scene, item: dict[str, Any]) -> Outcome | None:
    page = here.world.pagerduty.alerts.get(item["metadata"]["uid"])
    if page is None:
        return None
    triggers = [event.payload for event in page.events if event.action == "trigger"]
    return {"pages": page.pages, "state": str(page.state), "reason": triggers[-1]["class"]}


def _record(here: Scene) -> Outcome:
    spec = here.record()["spec"]
    versions = {
        rs["metadata"]["uid"]: version_of(rs)
        for rs in here.world.cluster.store.list("replicasets.apps", here.world.namespace)
    }
    return {
        "rollbacks": [
            (done["incident"], versions[done["fromUid"]], versions[done["toUid"]])
            for done in spec.get("rollbacks", [])
        ],
        "known bad": [versions[bad["revision"]["uid"]] for bad in spec.get("knownBad", [])],
        "left alone": [versions[left["uid"]] for left in spec.get("leftAlone", [])],
        "held": len(spec.get("held", {})),
        "next": spec.get("nextSequence"),
    }
