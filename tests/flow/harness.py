"""A story's stage: a world, a responder in the same event loop, and words for what tests wait for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.app import App, running
from responder.incidents.model import AlertEntry
from responder.rules.load import load_rules
from responder.sandbox.api.request_log import RequestRecord
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import WORKLOADS
from responder.sandbox.inboxes.pagerduty import PagedAlert
from responder.sandbox.inboxes.slack_clicks import ClickResult, SlackUser, buttons
from responder.sandbox.inboxes.slack_messages import Message
from responder.sandbox.outage import Outage
from responder.sandbox.virtual_time import LoopClock
from responder.sandbox.world import (
    ERROR_RATE,
    HOME,
    LATENCY_P95,
    SIGNING_SECRET,
    WEBHOOK_TOKEN,
    Plan,
    World,
    free_port,
    start_world,
)
from responder.settings import Settings
from tests.shared import CHECKOUT

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RULES = CHECKOUT / "rules"

ONCALL = SlackUser("U0ONCALL", "oncall")
OTHER = SlackUser("U0OTHER", "other")
ROLL_BACK, LEAVE = "responder.rollback", "responder.leave"
DEPLOYMENTS, NAMESPACES, INCIDENTS = "deployments.apps", "namespaces", "incidents.responder.dev"


@dataclass(slots=True)
class Stage:
    """The world, the responder, and what a test asks of both."""

    world: World
    settings: Settings
    versions: list[str] = field(default_factory=list)  # of the Deployment's template, one after another
    app: App = field(init=False)
    _life: AsyncExitStack = field(default_factory=AsyncExitStack, init=False)

    async def start(self) -> None:
        """Start the responder on this world and wait until it leads and is ready."""
        self.app = await self._life.enter_async_context(running(self.settings, self.world.clock))
        await self.until(
            lambda: self.app.leading and self.app.readiness().ready, timedelta(seconds=30), "ready"
        )

    async def stop(self) -> None:
        """End the responder as a termination does; the world goes on."""
        await self._life.aclose()

    def note(self, event: Event) -> None:
        """Keep the versions, by the store's own events."""
        if event.resource.key == WORKLOADS[self.world.kind] and event.type != "DELETED":
            version = version_of(event.object)
            if self.versions[-1:] != [version]:
                self.versions.append(version)

    async def until(self, what: Callable[[], Any], within: timedelta, describe: str) -> Any:
        """Wait until it is true and return it; the test fails with the description otherwise."""
        deadline = self.world.clock.now() + within
        while True:
            found = what()
            if found:
                return found
            if self.world.clock.now() >= deadline:
                pytest.fail(f"not within {within}: {describe}; incidents: {self.summary()}")
            await self.world.clock.sleep(0.5)

    async def rest(self, duration: timedelta) -> None:
        """Let time pass."""
        await self.world.clock.sleep(duration.total_seconds())

    def incidents(self) -> list[dict[str, Any]]:
        """Every incident of the workload, oldest first."""
        found = self.world.cluster.store.list(INCIDENTS, self.world.namespace)
        return sorted(found, key=lambda item: item["spec"]["sequence"])

    def incident(self, sequence: int = 1) -> dict[str, Any] | None:
        return next((i for i in self.incidents() if i["spec"]["sequence"] == sequence), None)

    def status(self, sequence: int = 1) -> dict[str, Any]:
        incident = self.incident(sequence)
        return {} if incident is None else incident.get("status", {})

    async def phase(self, phase: str, within: timedelta, sequence: int = 1) -> dict[str, Any]:
        """Wait for the incident's phase and return its status."""
        await self.until(
            lambda: self.status(sequence).get("phase") == phase, within, f"incident {sequence} in {phase}"
        )
        return self.status(sequence)

    async def reason(self, reason: str, within: timedelta, sequence: int = 1) -> dict[str, Any]:
        """Wait for the incident's reason and return its status."""
        await self.until(
            lambda: self.status(sequence).get("reason") == reason, within, f"incident {sequence}: {reason}"
        )
        return self.status(sequence)

    def at(self, step: str, sequence: int = 1) -> datetime:
        """When the incident took that step, such as patchedAt."""
        return datetime.fromisoformat(self.status(sequence)["times"][step])

    def reasons(self, sequence: int = 1) -> list[str]:
        """What the timeline says happened, in order."""
        return [line["event"] for line in self.status(sequence)["timeline"]]

    def doubts(self, sequence: int = 1) -> set[str]:
        """The guards that did not pass, as "check/reason"."""
        verdicts = self.status(sequence)["verdicts"]
        return {f"{v['check']}/{v['reason']}" for v in verdicts if v["result"] != "Passed"}

    def message(self, sequence: int = 1) -> Message:
        """The incident's one Slack message; the test fails if there is none or a second one."""
        incident = self.incident(sequence)
        assert incident is not None, self.summary()
        uid = incident["metadata"]["uid"]
        found = [m for m in self.world.slack.messages if uid in str(m.metadata)]
        assert len(found) == 1, f"{len(found)} messages about incident {sequence}"
        return found[0]

    def page(self, sequence: int = 1) -> PagedAlert | None:
        """What PagerDuty holds about the incident."""
        incident = self.incident(sequence)
        assert incident is not None, self.summary()
        return self.world.pagerduty.alerts.get(incident["metadata"]["uid"])

    def offers(self, sequence: int = 1, version: int = -1) -> list[str]:
        """The buttons that the incident's message shows."""
        return [button["action_id"] for _, button in buttons(self.message(sequence).versions[version])]

    async def click(
        self, action_id: str, user: SlackUser = ONCALL, *, sequence: int = 1, version: int = -1
    ) -> ClickResult:
        """Press a button of the incident's message."""
        assert self.world.inboxes.hands is not None
        return await self.world.inboxes.hands.click(self.message(sequence), action_id, user, version=version)

    def told(self, user: SlackUser = ONCALL) -> list[str]:
        """What a user was answered to clicks."""
        return [each.text for each in self.world.slack.ephemerals if each.user == user.id]

    def annotate(self, resource: str, namespace: str, name: str, key: str, value: str | None) -> None:
        """Set or remove (None) an annotation as a person with kubectl does."""
        store = self.world.cluster.store
        obj = store.get(resource, namespace, name)
        assert obj is not None, f"no {resource} {namespace}/{name}"
        annotations = {**obj["metadata"].get("annotations", {}), key: value}
        obj["metadata"]["annotations"] = {k: v for k, v in annotations.items() if v is not None}
        store.update(resource, obj, manager="kubectl")

    def annotate_workload(self, key: str, value: str | None) -> None:
        """Set or remove an annotation of the workload."""
        self.annotate(WORKLOADS[self.world.kind], self.world.namespace, self.world.name, key, value)

    def pause(self, paused: bool) -> None:
        """Pause or resume the Deployment's rollout."""
        deployment = self.world.deployment()
        deployment["spec"].pop("paused", None)
        if paused:
            deployment["spec"]["paused"] = True
        self.world.cluster.store.update(DEPLOYMENTS, deployment, manager="kubectl")

    def scale(self, replicas: int) -> None:
        """Set the Deployment's replicas."""
        deployment = self.world.deployment()
        deployment["spec"]["replicas"] = replicas
        self.world.cluster.store.update(DEPLOYMENTS, deployment, manager="kubectl")

    def silence(self) -> None:
        """Silence every alert of the workload, for a day."""
        now = self.world.clock.now()
        body = {
            "matchers": [{"name": "deployment", "value": self.world.name, "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(days=1)).isoformat(),
            "createdBy": "oncall",
            "comment": "known",
        }
        for alertmanager in self.world.alertmanagers:
            alertmanager.silences.add(json.dumps(body).encode(), now)

    def unsilence(self) -> None:
        """Let every silence end."""
        now = self.world.clock.now()
        for alertmanager in self.world.alertmanagers:
            for silence in alertmanager.silences.answer(now):
                alertmanager.silences.expire(silence["id"], now)

    def answering(self, answers: bool) -> None:
        """Whether Prometheus answers questions; it goes on to evaluate rules and to send alerts."""
        assert self.world.prometheus is not None
        self.world.prometheus.outage = Outage.NONE if answers else Outage.UNAVAILABLE

    def fires(self, fingerprint: str, sequence: int = 1) -> bool:
        """Whether the incident holds the alert as firing."""
        incident = self.incident(sequence)
        entry = {} if incident is None else incident["spec"]["alerts"].get(fingerprint, {})
        return bool(entry) and AlertEntry.model_validate(entry).firing

    def degrade(self, version: str, *, error_rate: float = 0.0, latency_p95: str = "120ms") -> None:
        """Let the running pods of a version behave so from now on, without a release."""
        uid = self.rs_uid(version)
        for pod in self.world.cluster.store.list("pods", self.world.namespace):
            if pod["metadata"]["ownerReferences"][0]["uid"] == uid:
                name = pod["metadata"]["name"]
                self.annotate("pods", self.world.namespace, name, ERROR_RATE, str(error_rate))
                self.annotate("pods", self.world.namespace, name, LATENCY_P95, latency_p95)

    def summary(self) -> list[str]:
        """The incidents in a line each, for a failing test."""
        return [
            f"{i['metadata']['name']} {i.get('status', {}).get('phase')}"
            f" {i.get('status', {}).get('outcome')} {i.get('status', {}).get('reason')}:"
            f" {i.get('status', {}).get('message')}"
            for i in self.incidents()
        ]

    def writes(self) -> list[RequestRecord]:
        """Every write to the workload's kind over HTTP that took effect: only the responder speaks HTTP."""
        return self.world.cluster.log.writes(f"/{self.world.kind.lower()}s/")

    def undos(self) -> list[RequestRecord]:
        """The patches that changed a template, told or not, from the API server's own log."""
        return [
            write
            for write in self.writes()
            if any(op["path"] == "/spec/template" and op["op"] != "test" for op in write.body)
        ]

    def record(self) -> dict[str, Any]:
        """The workload's record."""
        (record,) = self.world.cluster.store.list("workloadrecords.responder.dev", self.world.namespace)
        return record

    def rs_uid(self, version: str) -> str:
        """The ReplicaSet of a version."""
        return str(self.revision(version)["metadata"]["uid"])

    def revision(self, version: str) -> dict[str, Any]:
        """What keeps a version's template: its ReplicaSet or ControllerRevision."""
        kept = "replicasets.apps" if self.world.kind == "Deployment" else "controllerrevisions.apps"
        for each in self.world.cluster.store.list(kept, self.world.namespace):
            if version_of(each.get("data") or each) == version:
                return dict(each)
        pytest.fail(f"no revision of {version}")


def version_of(obj: dict[str, Any]) -> str:
    """The version in a Deployment's or ReplicaSet's template."""
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2])


# Windows short enough that a story takes minutes; what they mean to each other is as in the reference file.
SHORT: dict[str, Any] = {
    "metrics": {
        "error_rate": {"range": "1m", "onset_range": "30s", "min_samples": 100},
        "latency_p95": {"range": "1m", "onset_range": "30s", "min_samples": 100},
    },
    "alerts": {
        "high-error-rate": {"for": "30s"},
        "slow": {"for": "30s"},
        "very-slow": {"for": "1m"},
    },
    "rollback": {"clean_gap": "2m", "cooldown": "1h"},
}

# A small workload, for stories that are about something else than its size.
QUICK: dict[str, Any] = {"replicas": 3, "scrape_interval_seconds": 7.5, "tick_seconds": 2.0}


def write_rules(folder: Path, *changes: dict[str, Any]) -> Path:
    """The reference rule file with changes merged in, mapping by mapping; returns the folder of rules."""
    content = yaml.safe_load((RULES / "payment-service.yaml").read_text(encoding="utf-8"))
    for change in changes:
        content = _merge(content, change)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "payment-service.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def _merge(content: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    for key, value in change.items():
        merged[key] = _merge(merged[key], value) if isinstance(value, dict) and key in merged else value
    return {key: value for key, value in merged.items() if value is not None}


@asynccontextmanager
async def stage(
    tmp_path: Path,
    *changes: dict[str, Any],
    settings: Mapping[str, Any] | None = None,
    alone: bool = True,
    **plan: Any,
) -> AsyncIterator[Stage]:
    """A world and a responder on it, ready, until the context ends. For run_story: on virtual time.

    `changes` are merged into the reference rule file (SHORT for short windows), `settings` into the
    responder's settings, `plan` into the world's plan. Not `alone`: whoever calls starts the responders.
    """
    clock = LoopClock(START)
    rules = write_rules(tmp_path / "rules", *changes)
    (file,) = load_rules(rules).files
    port = free_port()
    async with start_world(clock, replace(Plan(file, tick_seconds=1.0), **plan), port) as world:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(world.kubeconfig()), encoding="utf-8")
        defaults = {
            "listen": f"127.0.0.1:{port}",
            "rules": rules,
            "kubeconfig": kubeconfig,
            "namespace": HOME,
            "prometheus_url": world.prometheus_url,
            "alertmanager_urls": world.alertmanager_urls,
            "slack_api_url": f"{world.inboxes_url}/api/",
            "slack_bot_token": world.slack.token,
            "slack_signing_secret": SIGNING_SECRET,
            "slack_channel": "payments",
            "pagerduty_url": world.inboxes_url,
            "pagerduty_routing_key": world.pagerduty.routing_key,
            "webhook_token": WEBHOOK_TOKEN,
            # Stories of one workload wait for no other's alerts.
            "storm_wait": timedelta(0),
        }
        here = Stage(world, Settings.model_validate({**defaults, **(settings or {})}), [world.version])
        unsubscribe = world.cluster.store.subscribe(here.note)
        try:
            if alone:
                await here.start()
            yield here
        finally:
            await here.stop()
            unsubscribe()
