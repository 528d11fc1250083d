"""From the webhook to the accepted undo: which requests that takes, by the API server's own log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from responder.sandbox.api.disturbances import BreakWatches
from responder.sandbox.api.faults import Delay, FaultRule, Refuse
from responder.sandbox.api.request_log import RequestRecord
from responder.sandbox.world import HOME
from responder.workloads.views import CHANGE_CAUSE, FREEZE
from tests.flow.harness import NAMESPACES, QUICK, SHORT, Stage, stage
from tests.shared import run_story

LATENCY = timedelta(seconds=0.1)

RECORD = "/apis/responder.dev/v1alpha1/namespaces/payments/workloadrecords/deployment-payment-service"
INCIDENTS = "/apis/responder.dev/v1alpha1/namespaces/payments/incidents"
APPS = "/apis/apps/v1/namespaces/payments"
DEPLOYMENT = f"{APPS}/deployments/payment-service"
FREEZES = {("GET", "/api/v1/namespaces/payments"), ("GET", f"/api/v1/namespaces/{HOME}")}


def play(tmp_path: Path, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run the story on a small world whose first version has served healthily for a while."""

    async def main() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(timedelta(minutes=3))
            await story(here)

    run_story(main())


def rounds(requests: list[RequestRecord]) -> list[list[RequestRecord]]:
    """The requests by the moment they came in: with the same latency for all, those sent at once."""
    found: list[list[RequestRecord]] = []
    for request in sorted(requests, key=lambda each: each.at):
        if not found or request.at - found[-1][0].at > LATENCY / 2:
            found.append([])
        found[-1].append(request)
    return found


def test_five_round_trips_from_webhook_to_undo(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.1)
        await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
        here.world.cluster.faults.add(FaultRule("*", ".", Delay(LATENCY.total_seconds())))
        await here.phase("Verifying", timedelta(minutes=3))
        (undo,) = here.undos()
        # What Alertmanager's next word or the ledger asks for on the side is not on the way to the undo.
        way = [
            request
            for request in here.world.cluster.log
            if here.at("receivedAt") - LATENCY <= request.at <= undo.at
            and "watch" not in request.query
            and "/leases/" not in request.path
        ]
        first, opened, gathered, intended, undone = (
            {(request.method, request.path) for request in each} for each in rounds(way)
        )
        incident = f"{INCIDENTS}/{here.incidents()[0]['metadata']['name']}"
        assert first == {("GET", RECORD)}
        assert opened == {("POST", INCIDENTS)}
        read = {DEPLOYMENT, f"{APPS}/replicasets", RECORD, "/api/v1/namespaces/payments/pods"}
        assert gathered == FREEZES | {("GET", path) for path in read} | {("PATCH", DEPLOYMENT)}
        assert [r.query.get("dryRun") for r in way if (r.method, r.path) == ("PATCH", DEPLOYMENT)] == [
            "All",
            None,
        ]
        assert intended == FREEZES | {("PATCH", f"{incident}/status")}
        assert undone == {("PATCH", DEPLOYMENT)}
        every = (first, opened, gathered, intended, undone)
        assert len(way) == sum(map(len, every))

    play(tmp_path, story)


def test_what_was_asked_about_a_workload_that_changed_unseen_is_asked_again(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        here.world.release("v2", error_rate=0.1)
        await here.world.cluster.rollout_complete(here.world.namespace, here.world.name)
        here.world.cluster.faults.add(FaultRule("GET", r"/deployments\?", Refuse(500)))
        await here.world.cluster.suffer(BreakWatches(here.world.clock.now(), "/deployments"))
        here.annotate_workload(CHANGE_CAUSE, "a try")
        here.world.cluster.faults.add(FaultRule("*", ".", Delay(LATENCY.total_seconds())))
        await here.phase("Verifying", timedelta(minutes=3))
        (undo,) = here.undos()
        tries = [
            request.at
            for request in here.world.cluster.log
            if (request.method, request.path, request.query.get("dryRun")) == ("PATCH", DEPLOYMENT, "All")
            and request.at <= undo.at
        ]
        # Beside the reads, and when they had shown that the patch is another one.
        assert len(tries) == 2
        assert LATENCY <= tries[1] - tries[0] < 2 * LATENCY

    play(tmp_path, story)


def test_a_freeze_while_the_intent_is_slow_to_be_written_still_stops_the_undo(tmp_path: Path) -> None:
    async def story(here: Stage) -> None:
        slow = FaultRule("PATCH", r"/incidents/[^/]+/status", Delay(3.0), count=1)
        here.world.cluster.faults.add(slow)
        here.world.release("v2", error_rate=0.1)
        await here.until(lambda: here.world.cluster.faults.taken, timedelta(minutes=3), "the intent")
        await here.rest(timedelta(seconds=1))
        here.annotate(NAMESPACES, "", HOME, FREEZE, "migration")
        await here.reason("Frozen", timedelta(minutes=1))
        assert here.undos() == []

    play(tmp_path, story)
