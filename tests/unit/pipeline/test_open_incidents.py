"""What is open, as a watch and this replica's own intake tell it, in whatever order."""

from __future__ import annotations

from typing import Any

from responder.clients.kubernetes import Kubernetes
from responder.clients.kubernetes.model import Changed, Listed
from responder.incidents.model import OPEN_LABEL, Incident, parse_incident
from responder.pipeline.open_incidents import OpenIncidents
from tests.shared import run_story


def incident(version: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "deployment-web-1",
            "namespace": "shop",
            "uid": "u",
            "resourceVersion": version,
            "creationTimestamp": "2026-03-02T09:00:00Z",
            "labels": {OPEN_LABEL: "true"},
        },
        "spec": {
            "workload": {"kind": "Deployment", "name": "web"},
            "sequence": 1,
            "receivedAt": "2026-03-02T09:00:00Z",
            "alerts": {},
        },
    }


class Watched(Kubernetes):
    """A cluster of which a watch tells just this."""

    def __init__(self, *seen: Listed | Changed) -> None:
        self._seen = seen

    async def list_watch(self, path: str, *, label_selector: str = "", field_selector: str = "") -> Any:
        for each in self._seen:
            yield each


def test_an_answer_from_before_it_was_gone_brings_no_incident_back() -> None:
    async def story() -> None:
        seen = OpenIncidents(Watched(Listed([incident("5")], "7"), Changed("DELETED", incident("20"))))
        woken: list[Incident] = []
        await seen.run()
        with seen.waking(woken.append):
            seen.note(parse_incident(incident("5")))
            assert seen.incidents() == []
            assert len(woken) == 1
            seen.note(parse_incident(incident("21")))
            assert len(seen.incidents()) == 1

    run_story(story())
