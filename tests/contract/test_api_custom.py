"""Our custom resources on an API server: kept whole, validated, status apart from spec, conflicts told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responder.clients.kubernetes import AlreadyExists, Conflict, Invalid, NotFound, Object, paths
from responder.incidents.model import OPEN_LABEL, AlertEntry, Incident
from responder.incidents.phases import Phase
from responder.incidents.store import IncidentStore
from tests.contract.conftest import Tell
from tests.contract.subject import Subject, established

AT = datetime(2026, 3, 1, 10, 30, 15, 250000, tzinfo=UTC)
ALERT = AlertEntry(labels={"alertname": "HighErrorRate"}, annotations={"summary": "bad"}, starts_at=AT)


async def opened(subject: Subject) -> tuple[IncidentStore, Incident]:
    store = IncidentStore(subject.api)
    return store, await store.open(subject.key, 1, {"f1": ALERT}, AT)


def test_the_definitions_are_established(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        found = (await subject.api.list(paths.custom_resource_definitions())).items
        ours = {each["metadata"]["name"]: each for each in found if each["spec"]["group"] == "responder.dev"}
        assert set(ours) == {
            f"{plural}.responder.dev" for plural in ("incidents", "workloadrecords", "decisions")
        }
        assert all(map(established, ours.values()))

    tell(story)


def test_an_incident_is_kept_as_it_was_opened(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        store, incident = await opened(subject)
        assert incident.spec.alerts == {"f1": ALERT}
        assert incident.spec.received_at == AT
        assert await store.get(subject.namespace, incident.name) == incident
        with pytest.raises(AlreadyExists):
            await store.open(subject.key, 1, {}, AT)

    tell(story)


def test_status_and_spec_are_written_apart(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        store, incident = await opened(subject)
        path = paths.incident(subject.namespace, incident.name)
        status = replace_status(incident, reason="Held", message="told")
        recorded = await store.record(incident, status)
        assert (recorded.status.reason, recorded.spec) == ("Held", incident.spec)
        generation = (await subject.api.get(path))["metadata"]["generation"]
        here = {"spec": {"sequence": 7}, "metadata": {"labels": {"smuggled": "in"}}}
        answer = await subject.api.merge_patch(paths.status(path), here)
        assert (answer["spec"]["sequence"], "smuggled" in answer["metadata"]["labels"]) == (1, False)
        answer = await subject.api.merge_patch(path, {"status": {"reason": "Smuggled"}})
        assert answer["status"]["reason"] == "Held"
        assert answer["metadata"]["generation"] == generation

    tell(story)


def replace_status(incident: Incident, **changes: Any) -> Any:
    return incident.status.model_copy(update={"phase": Phase.OPEN, **changes})


def test_a_status_in_a_new_object_is_dropped(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        _, incident = await opened(subject)
        body = await subject.api.get(paths.incident(subject.namespace, incident.name))
        body["metadata"] = {"name": "another", "namespace": subject.namespace}
        made = await subject.api.create(
            paths.incidents(subject.namespace), {**body, "status": {"reason": "Held"}}
        )
        assert "reason" not in made.get("status", {})

    tell(story)


def test_a_status_judged_on_what_has_passed_is_a_conflict(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        store, incident = await opened(subject)
        await store.write_alerts(subject.key, 1, {"f2": ALERT})
        with pytest.raises(Conflict):
            await store.record(incident, replace_status(incident, reason="Stale"))
        fresh = await store.record_fact(incident, lambda status: status.model_copy(update={"reason": "Fact"}))
        assert (fresh.status.reason, set(fresh.spec.alerts)) == ("Fact", {"f1", "f2"})

    tell(story)


def test_null_in_a_merge_patch_removes_a_member(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        store, incident = await opened(subject)
        assert await names_of_open(subject) == [incident.name]
        await store.unmark(incident)
        assert await names_of_open(subject) == []
        path = paths.incident(subject.namespace, incident.name)
        answer = await subject.api.merge_patch(path, {"spec": {"alerts": {"f1": None}}})
        assert answer["spec"]["alerts"] == {}

    tell(story)


async def names_of_open(subject: Subject) -> list[str]:
    listed = await subject.api.list(paths.incidents(subject.namespace), label_selector=f"{OPEN_LABEL}=true")
    return [item["metadata"]["name"] for item in listed.items]


def test_what_the_schema_does_not_know_is_pruned(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        _, incident = await opened(subject)
        path = paths.incident(subject.namespace, incident.name)
        answer = await subject.api.merge_patch(path, {"spec": {"invented": {"deeply": True}}})
        assert "invented" not in answer["spec"]
        assert answer["metadata"]["generation"] == 1

    tell(story)


@pytest.mark.parametrize("change", [{"phase": "Invented"}, {"times": {"patchedAt": 5}}])
def test_what_the_schema_forbids_is_refused_with_a_reason(tell: Tell, change: Object) -> None:
    async def story(subject: Subject) -> None:
        _, incident = await opened(subject)
        path = paths.incident(subject.namespace, incident.name)
        with pytest.raises(Invalid) as raised:
            await subject.api.merge_patch(paths.status(path), {"status": change})
        assert not raised.value.failed_test
        assert raised.value.details["name"] == incident.name

    tell(story)


def test_a_record_stays_with_its_workload(tell: Tell) -> None:
    """The rule that the definition states in CEL; and what is held is nulled one by one."""

    async def story(subject: Subject) -> None:
        store = IncidentStore(subject.api)
        record = await store.ensure_record(subject.key)
        assert (await store.ensure_record(subject.key)).metadata.uid == record.metadata.uid
        raised = await store.update_record(
            subject.key, lambda spec: spec.model_copy(update={"next_sequence": 4})
        )
        assert raised.spec.next_sequence == 4
        path = paths.workloadrecord(subject.namespace, record.metadata.name)
        with pytest.raises(Invalid):
            await subject.api.merge_patch(path, {"spec": {"workload": {"name": "another"}}})

    tell(story)


def test_no_incident_of_that_number_is_no_error(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        store = IncidentStore(subject.api)
        assert await store.write_alerts(subject.key, 9, {"f1": ALERT}) is None
        with pytest.raises(NotFound):
            await store.get(subject.namespace, "nothing")

    tell(story)
