"""Containers that crash every so often: their back-off, what is told of them, and what traffic notices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from responder.sandbox import manifests
from responder.sandbox.api.objects import Object
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.crashes import runs_by
from responder.sandbox.controllers.pods import is_ready
from responder.sandbox.traffic.metrics import PodMetrics
from responder.sandbox.traffic.pods import PodDirectory
from responder.sandbox.virtual_time import LoopClock
from tests.shared import run_story

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE, NAME = "default", "payment-service"


@pytest.mark.parametrize(
    ("second", "restarts", "running"),
    [
        (0, 0, True),
        (4.9, 0, True),
        (5, 1, True),
        (10, 1, False),
        (19.9, 1, False),
        (20, 2, True),
        (25, 2, False),
        (45, 3, True),
        (50, 3, False),
        (90, 4, True),
    ],
)
def test_each_back_off_is_twice_the_one_before(second: float, restarts: int, running: bool) -> None:
    now = START + timedelta(seconds=second)
    before, run = runs_by(now, START, timedelta(seconds=5))
    assert (run.restarts, now < run.ends_at) == (restarts, running)
    assert (before is None) == (restarts == 0)
    assert before is None or before.resumes_at == run.began_at


@pytest.mark.parametrize(("every", "longest"), [(1, 300), (600, 300), (601, 0)])
def test_the_back_off_has_a_limit_and_is_forgotten(every: int, longest: int) -> None:
    _, run = runs_by(START + timedelta(days=1), START, timedelta(seconds=every))
    assert run.back_off == timedelta(seconds=longest)


def container(pod: Object) -> Object:
    (only,) = pod["status"]["containerStatuses"]
    assert isinstance(only, dict)
    return only


def test_a_crash_loop_is_told_as_a_kubelet_does() -> None:
    async def story() -> None:
        async with Cluster.start(clock=LoopClock(START)) as cluster:
            cluster.apply(
                manifests.deployment(
                    replicas=1,
                    pod_annotations={
                        "sandbox.responder.dev/crash-every": "5s",
                        "sandbox.responder.dev/ready-after": "2s",
                    },
                )
            )
            cluster.apply(manifests.service())
            directory = PodDirectory(cluster.store)
            metrics = PodMetrics(directory)
            seen: dict[int, tuple[bool, int, str, bool]] = {}
            for second in range(1, 24):
                await cluster.clock.sleep(1)
                (pod,) = cluster.store.list("pods", NAMESPACE)
                (facts,) = directory.all()
                if second == 4:
                    metrics.of(facts).transactions = 7
                one = container(pod)
                (word,) = one["state"]
                seen[second] = (is_ready(pod), one["restartCount"], word, facts.answers)
            directory.close()
            assert seen[1] == (False, 0, "running", True)
            assert seen[4] == (True, 0, "running", True)
            # The first restart is at once, but readiness takes its time again.
            assert seen[6] == (False, 1, "running", True)
            assert seen[9] == (True, 1, "running", True)
            assert seen[12] == seen[19] == (False, 1, "waiting", False)
            assert seen[22] == (False, 2, "running", True)
            assert seen[23] == (True, 2, "running", True)
            assert metrics.of(facts).transactions == 0, "a restarted process counts from nought"
            last = container(pod)["lastState"]["terminated"]
            assert (last["exitCode"], last["reason"]) == (1, "Error")

            await cluster.clock.sleep(5)
            (pod,) = cluster.store.list("pods", NAMESPACE)
            waiting = container(pod)["state"]["waiting"]
            assert waiting["reason"] == "CrashLoopBackOff"
            assert waiting["message"].startswith(
                f"back-off 20s restarting failed container={NAME} pod={NAME}-"
            )
            (told,) = [each for each in cluster.store.list("events") if each["reason"] == "BackOff"]
            assert told["type"] == "Warning"
            (found,) = cluster.store.list("endpointslices.discovery.k8s.io")
            assert [each["conditions"]["ready"] for each in found["endpoints"]] == [False]
            assert cluster.deployment(NAMESPACE, NAME)["status"].get("availableReplicas", 0) == 0

    run_story(story())
