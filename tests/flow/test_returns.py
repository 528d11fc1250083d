"""A release that brings back what was rolled back: people are told as soon as it serves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from responder.sandbox.inboxes.pagerduty import PagedAlert
from tests.flow.harness import QUICK, SHORT, Stage, stage
from tests.shared import run_story

SECONDS = timedelta(seconds=1)


def returns(here: Stage) -> tuple[list[str], list[PagedAlert]]:
    """What Slack and PagerDuty were told of revisions that are back."""
    texts = [m.current.text for m in here.world.slack.messages if "serves again" in m.current.text]
    pages = [p for key, p in here.world.pagerduty.alerts.items() if key.startswith("responder/returned/")]
    return texts, pages


def test_what_was_rolled_back_is_announced_when_it_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(timedelta(minutes=4))
            here.world.release("v2", error_rate=0.05)
            await here.phase("Closed", timedelta(minutes=15))
            assert here.status()["outcome"] == "RolledBack"
            assert returns(here) == ([], [])

            # The same template again, as a pipeline that retries would.
            here.world.release("v2", error_rate=0.05)
            await here.until(lambda: returns(here)[1], 20 * SECONDS, "a page")
            await here.rest(5 * SECONDS)
            (text,), (page,) = returns(here)
            assert "payment-service" in text
            assert here.incidents()[0]["metadata"]["name"] in text
            assert (page.pages, page.state) == (1, "triggered")

            # Whoever leads next tells nobody again.
            await here.stop()
            await here.start()
            await here.rest(30 * SECONDS)
            assert [len(told) for told in returns(here)] == [1, 1]
            assert page.pages == 1

            # It goes: what was told is over.
            here.world.release("v3")
            await here.until(lambda: page.state == "resolved", timedelta(minutes=2), "resolved")
            assert len(returns(here)[0]) == 1

    run_story(story())


@pytest.mark.parametrize("outcome", ["TrafficProven", "RolledBack"])
def test_an_undo_that_is_undone_is_one_page(tmp_path: Path, outcome: str) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(timedelta(minutes=3, seconds=30))
            here.world.release("v2", error_rate=0.05)
            await here.until(lambda: outcome in str(here.status().get("timeline")), 360 * SECONDS, outcome)
            here.world.release("v2", error_rate=0.05)
            await here.until(lambda: "Reverted by" in str(here.status().get("page")), 20 * SECONDS, "noticed")
            # Its pods serve, and their return is what the incident tells already.
            await here.rest(90 * SECONDS)
            assert here.record()["spec"]["servings"][-1]["revision"]["uid"] == here.rs_uid("v2")
            assert returns(here) == ([], [])
            page = here.page()
            assert page is not None
            assert "Reverted by" in page.summary

            # Nor does whoever leads next.
            await here.stop()
            await here.start()
            await here.rest(30 * SECONDS)
            assert returns(here) == ([], [])

    run_story(story())
