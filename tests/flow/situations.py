"""Situations in which a rollback would harm or be useless, told through the running responder.

What a situation is, and how one is played: in the end nobody has written to the cluster, and the message
names the reason. The situations themselves stand in situations_*.py; test_no_wrong_rollback.py and
test_guard_stories.py play them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from responder.actions.messages_blocks import escape
from responder.sandbox.api.request_log import RequestRecord
from responder.sandbox.manifests import deployment
from responder.sandbox.world import WEBHOOK_TOKEN
from responder.workloads.views import FENCE
from tests.flow.harness import DEPLOYMENTS, QUICK, SHORT, Stage, stage, version_of, write_rules
from tests.shared import run_story

Play = Callable[[Stage], Awaitable[None]]

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
# Half of what SHORT has: the healthy time before each story is most of its length.
BRISK: dict[str, Any] = {"rollback": {"clean_gap": "1m"}}
WARM_UP = timedelta(minutes=2, seconds=15)
# Where the workloads of other services are.
ELSEWHERE = "shop"
# What the responder writes of its own: records, and who leads.
OWN = ("/responder.dev/", "/coordination.k8s.io/")


@dataclass(frozen=True)
class Situation:
    """One situation, and what has to come of it.

    `reason` is the one token that tells it from all others; `said` a part of the sentence with it.
    `guard` is the function whose verdict it is, and `result` that verdict's; both empty where no guard comes
    into it. `leads`: it is the incident's own reason, not only one beside another.
    """

    name: str
    reason: str
    said: str
    play: Play
    guard: str = ""
    result: str = ""
    leads: bool = True
    changes: tuple[dict[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    # What is done before the responder starts.
    before: Play | None = None
    # More services with rules like this one's.
    others: tuple[str, ...] = ()
    # Judged before anybody could be asked: nobody is told a reason that passes by itself.
    untold: bool = False
    within: timedelta = 6 * MINUTE
    # Whoever is paged, and what stands in the Slack message, where it is not the workload's first incident.
    sequence: int = 1
    # Undos that the story has behind it when the situation begins.
    undos: int = 0


def written(here: Stage) -> list[RequestRecord]:
    """Every write over HTTP that took effect on what is not the responder's own, by the server's log.

    Its own is also its fence label: by moving that it makes a patch void that may still be under way.
    """
    writes = here.world.cluster.log.writes()
    return [w for w in writes if not any(own in w.path for own in OWN) and not _moves_the_fence(w)]


def _moves_the_fence(write: RequestRecord) -> bool:
    changed = [op["path"] for op in write.body if op["op"] != "test"] if write.method == "PATCH" else []
    return changed == [f"/metadata/labels/{FENCE.replace('/', '~1')}"]


def verdict(here: Stage, reason: str, sequence: int = 1) -> dict[str, Any] | None:
    """The recorded verdict with that reason."""
    verdicts = here.status(sequence).get("verdicts") or ()
    return next((dict(each) for each in verdicts if each["reason"] == reason), None)


def shown(here: Stage, sequence: int = 1) -> str:
    """All that the incident's Slack message says."""
    return json.dumps(here.message(sequence).current.blocks)


async def tell(situation: Situation, here: Stage) -> None:
    """Play it, and check its end."""
    await situation.play(here)
    number = situation.sequence

    def found() -> bool:
        if len(here.undos()) > situation.undos:
            return True
        if situation.guard and not situation.leads:
            return verdict(here, situation.reason, number) is not None
        return bool(here.status(number).get("reason") == situation.reason)

    await here.until(found, situation.within, f"{situation.name}: {situation.reason}")
    if not situation.untold:
        await here.rest(20 * SECOND)
    assert len(here.undos()) == situation.undos, f"{situation.name}: rolled back; {here.summary()}"
    assert len(written(here)) == situation.undos, [f"{w.method} {w.path}" for w in written(here)]
    if situation.guard:
        said = verdict(here, situation.reason, number)
        assert said is not None, here.doubts(number)
        assert said["result"] == situation.result
        assert situation.said in said["message"], said["message"]
    if situation.leads:
        assert here.status(number)["reason"] == situation.reason, here.summary()
        assert situation.said in here.status(number)["message"]
    if not situation.untold:
        assert (situation.reason if situation.leads else escape(situation.said)) in shown(here, number)


def run_situation(situation: Situation, tmp_path: Path) -> None:
    """Play it on a world whose first version has served healthily for a while."""

    async def story() -> None:
        plan, changes = {**QUICK, **situation.plan}, (SHORT, BRISK, *situation.changes)
        settings = {**situation.settings, **_rules_of_others(situation, tmp_path / "all", *changes)}
        async with stage(tmp_path, *changes, settings=settings, alone=False, **plan) as here:
            if situation.before is not None:
                await situation.before(here)
            await here.start()
            await here.rest(WARM_UP)
            await tell(situation, here)

    run_story(story())


def _rules_of_others(situation: Situation, folder: Path, *changes: dict[str, Any]) -> dict[str, Any]:
    if not situation.others:
        return {}
    own = (write_rules(folder, *changes) / "payment-service.yaml").read_text(encoding="utf-8")
    for name in situation.others:
        text = own.replace("payment-service", name).replace("namespace: payments", f"namespace: {ELSEWHERE}")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return {"rules": folder}


async def bad_release(here: Stage) -> None:
    """A release that is bad beyond doubt, and alerted of soon."""
    here.world.release("v2", error_rate=0.3)


async def alerted(here: Stage, sequence: int = 1) -> None:
    """Until the incident is there: from then on somebody judges."""
    await here.until(lambda: here.incident(sequence), 5 * MINUTE, "an incident")


def pods_of(here: Stage, version: str) -> list[dict[str, Any]]:
    """The pods made from a version."""
    uid = here.rs_uid(version)
    pods = here.world.cluster.store.list("pods", here.world.namespace)
    return [pod for pod in pods if pod["metadata"]["ownerReferences"][0]["uid"] == uid]


async def serves(here: Stage, version: str) -> None:
    """Until the version's first pod is ready, and the responder has had a moment to see it."""

    def made() -> bool:
        store, namespace = here.world.cluster.store, here.world.namespace
        return any(version_of(each) == version for each in store.list("replicasets.apps", namespace))

    def ready() -> bool:
        conditions = [c for pod in pods_of(here, version) for c in pod["status"].get("conditions") or ()]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    await here.until(made, MINUTE, f"a ReplicaSet of {version}")

    await here.until(ready, 2 * MINUTE, f"a ready pod of {version}")
    await here.rest(5 * SECOND)


def edit(here: Stage, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the Deployment as somebody else does."""
    found = here.world.deployment()
    change(found)
    here.world.cluster.store.update(DEPLOYMENTS, found, manager="kubectl")


def furnish_gateway(here: Stage) -> None:
    """Another workload that the service calls, scraped as every other."""
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"}
    here.world.cluster.apply(
        deployment("card-gateway", namespace=here.world.namespace, replicas=1, pod_annotations=scraped)
    )


async def send(here: Stage, **labels: str) -> None:
    """Deliver one firing alert with these labels, as an Alertmanager does that is not ours."""
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {},
        "startsAt": here.world.clock.now().isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "-".join(labels.values())[:60],
    }
    body = {"version": "4", "receiver": "responder", "truncatedAlerts": 0, "alerts": [alert]}
    url, headers = f"{here.app.url}/webhooks/alertmanager", {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
