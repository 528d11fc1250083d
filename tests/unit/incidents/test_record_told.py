"""What was told is written beside what others write, never over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from responder.clients.kubernetes import Conflict, paths
from responder.incidents.advance import noted, with_condition
from responder.incidents.model import Status
from responder.incidents.notifications import Notifications, SlackState, merge
from tests.shared import run_story
from tests.unit.deploy.test_applied import AT, deployed, open_incident


def test_a_late_writer_goes_on_from_what_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            old = await open_incident(cluster.store)
            told = Notifications(slack=SlackState(channel="C1", ts="1.0", digest="new"))

            def lead(status: Status) -> Status:
                return status.model_copy(update={"notifications": told})

            await cluster.store.record_told(old, lead)
            fact = await cluster.store.record_fact(old, lambda status: noted(status, AT, "Undo", "Undone."))
            assert fact.status.notifications == told

            # One that led before knows of none of this, and has nothing new to say but that it gave up.
            def end(status: Status) -> Status:
                merged = merge(Notifications(), Notifications(), status.notifications)
                status = status.model_copy(update={"notifications": merged})
                return with_condition(status, "Told", "False", "GaveUp", "Slack is gone.", AT)

            stands = await cluster.store.record_told(old, end)
            assert stands.status.notifications == told
            assert [line.event for line in stands.status.timeline] == ["Undo"]
            assert [each.type for each in stands.status.conditions] == ["Told"]
            assert stands == await cluster.store.get(old.metadata.namespace, old.name)

    run_story(story())


def test_nothing_of_one_incident_is_written_into_another_of_its_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            old = await open_incident(cluster.store)
            await cluster.admin.delete(paths.incident(old.metadata.namespace, old.name))
            anew = await open_incident(cluster.store)
            assert (anew.name, anew.metadata.uid) != (old.name, old.metadata.uid)
            for write in (cluster.store.record_told, cluster.store.record_fact):
                with pytest.raises(Conflict):
                    await write(old, lambda status: noted(status, AT, "Undo", "Undone."))
            assert await cluster.store.get(anew.metadata.namespace, anew.name) == anew

    run_story(story())


def test_each_new_line_of_the_timeline_is_logged_once_when_it_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with deployed(tmp_path) as cluster:
            old = await open_incident(cluster.store)
            with capture_logs() as logs:
                first = await cluster.store.record_fact(old, lambda status: noted(status, AT, "A", "One."))
                with pytest.raises(Conflict):
                    await cluster.store.record(old, noted(old.status, AT, "Lost", "Never written."))
                # On what was read before: refused at first, then written on the newest.
                await cluster.store.record_fact(old, lambda status: noted(status, AT, "B", "Two."))
                newest = await cluster.store.get(first.metadata.namespace, first.name)
                await cluster.store.record(newest, newest.status.model_copy(update={"message": "other"}))
            assert {line["incident"] for line in logs} == {f"{old.metadata.namespace}/{old.name}"}
            said = [(line["event"], line["step"], line["message"]) for line in logs]
            assert said == [("incident_step", "A", "One."), ("incident_step", "B", "Two.")]

    run_story(story())
