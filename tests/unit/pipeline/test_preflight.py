"""The look ahead of an undo, on the simulated cluster: what is missing, who refuses, what can't be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.actions.undo import Fence
from responder.clients.kubernetes import Kubernetes, connect
from responder.pipeline.preflight import look_ahead, plan_trial
from responder.rules.facts import Preflight
from responder.sandbox.api.admission import Mutating, Validating
from responder.sandbox.api.faults import Refuse
from responder.sandbox.api.objects import Object
from responder.sandbox.cluster import DEPLOYMENTS
from responder.workloads.views import FREEZE
from tests.unit.actions.undoing import NAME, NAMESPACE, Scene, play


async def look(scene: Scene, api: Kubernetes | None = None, *, secrets: bool = False) -> Preflight:
    history = scene.history()
    target = history.by_uid(scene.uid("v1"))
    assert target is not None
    fence = Fence(history.workload.fence, "incident.1")
    return await look_ahead(api or scene.api, plan_trial(history.workload, target, fence), secrets=secrets)


def with_configuration(template: Object, *more: str) -> None:
    """Let the containers need a key of a ConfigMap and of each of these, and a Secret."""
    template["spec"]["containers"][0]["env"] = [
        *(
            {"name": f"URL{n}", "valueFrom": {"configMapKeyRef": {"name": name, "key": "url"}}}
            for n, name in enumerate(("app", *more))
        ),
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "app", "key": "token"}}},
    ]


async def needing(scene: Scene, *more: str) -> None:
    """v1 needs configuration, v2 needs none any more."""
    scene.edit(lambda it: with_configuration(it["spec"]["template"], *more))
    await scene.cluster.rollout_complete(NAMESPACE, NAME)

    def without(it: Object) -> None:
        it["spec"]["template"]["spec"]["containers"][0].pop("env")
        it["spec"]["template"]["spec"]["containers"][0]["image"] = "app:v2"

    scene.edit(without)
    await scene.cluster.rollout_complete(NAMESPACE, NAME)


def configuration(kind: str, **data: str) -> Object:
    metadata = {"name": "app", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


async def look_at_configured(
    scene: Scene, api: Kubernetes | None = None, *, secrets: bool = False
) -> Preflight:
    history = scene.history()
    (target,) = [rs for rs in history.old if rs.template["spec"]["containers"][0].get("env")]
    trial = plan_trial(history.workload, target, Fence(None, "incident.1"))
    return await look_ahead(api or scene.api, trial, secrets=secrets)


def test_what_is_there_is_found_and_nothing_is_changed(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await needing(scene)
        scene.cluster.apply(configuration("ConfigMap", url="http://bank"))
        before = scene.deployment()
        assert await look_at_configured(scene) == Preflight(found=("ConfigMap app",), unseen=("Secret app",))
        assert scene.deployment() == before

    play(tmp_path, story, "v1")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await needing(scene)
        assert (await look_at_configured(scene)).missing == ("ConfigMap app",)
        scene.cluster.apply(configuration("ConfigMap", other="value"))
        assert (await look_at_configured(scene)).missing == ("key url of ConfigMap app",)
        assert (await look_at_configured(scene, secrets=True)).missing == (
            "key url of ConfigMap app",
            "Secret app",
        )

    play(tmp_path, story, "v1")


def test_whoever_may_not_look_says_so(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await needing(scene)
        kubeconfig = tmp_path / "reader"
        kubeconfig.write_text(yaml.safe_dump(scene.cluster.kubeconfig("reader")))
        reader = await connect(kubeconfig, clock=scene.cluster.clock)
        try:
            found = await look_at_configured(scene, reader, secrets=True)
        finally:
            await reader.close()
        assert (found.missing, found.unseen, found.unread) == ((), ("Secret app",), ("ConfigMap app",))
        assert "forbidden" in found.refusal  # it may not patch either

    play(tmp_path, story, "v1")


def test_more_than_is_looked_at_is_said(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await needing(scene, *(f"extra-{number:02}" for number in range(60)))
        found = await look_at_configured(scene)
        assert (len(found.missing), len(found.unread), found.unseen) == (50, 11, ("Secret app",))

    play(tmp_path, story, "v1")


def sidecar(it: Object) -> Object:
    it["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "proxy:1"})
    return it


def test_a_webhook_that_denies_or_changes_is_seen_before_the_undo(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        admission = scene.cluster.admission
        remove = admission.add(
            Validating(name="policy", resource=DEPLOYMENTS, refuse=lambda new, old: "no rollbacks on Fridays")
        )
        assert "no rollbacks on Fridays" in (await look(scene)).refusal
        remove()
        remove = admission.add(Mutating(name="mesh", resource=DEPLOYMENTS, change=sidecar))
        assert await look(scene) == Preflight(changed=True)
        remove()
        assert await look(scene) == Preflight()
        assert scene.versions == ["v1", "v2"]

    play(tmp_path, story)


UNTOLD: dict[str, tuple[Callable[[Scene], Any], dict[str, bool]]] = {
    "a freeze has a guard of its own": (
        lambda scene: scene.edit(lambda it: it["metadata"]["annotations"].update({FREEZE: "now"})),
        {"tried": True, "untold": False},
    ),
    "paused": (
        lambda scene: scene.edit(lambda it: it["spec"].update(paused=True)),
        {"tried": False, "untold": False},
    ),
    "a webhook is down": (lambda scene: scene.strike(Refuse(500), 10), {"tried": True, "untold": True}),
    "no dry runs": (lambda scene: scene.strike(Refuse(400), 10), {"tried": True, "untold": True}),
}


@pytest.mark.parametrize("case", UNTOLD)
def test_what_a_dry_run_cannot_tell_is_no_refusal(case: str, tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        happen, expected = UNTOLD[case]
        happen(scene)
        found = await look(scene)
        assert {"tried": found.tried, "untold": bool(found.untold)} == expected
        assert (found.refusal, found.changed) == ("", False)

    play(tmp_path, story)
