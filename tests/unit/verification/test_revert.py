"""A template that is put back: recognised, put down to its writer, and told while others wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from responder.clients.kubernetes import Changed, Kubernetes, Listed, Object, Observation
from responder.verdicts import Verdict
from responder.verification.revert import find_revert, unless_reverted
from responder.workloads.key import WorkloadKey
from responder.workloads.workload import parse_workload

KEY = WorkloadKey("payments", "Deployment", "app")
FLUX = {
    "kustomize.toolkit.fluxcd.io/name": "apps",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}


def template(image: str) -> Object:
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": image}]}}


def deployment(image: str, manager: str = "", **metadata: Any) -> Object:
    entry = {
        "manager": manager,
        "operation": "Apply",
        "time": "2026-03-02T09:00:00Z",
        "fieldsV1": {"f:spec": {"f:template": {}}},
    }
    named = {"name": "app", "namespace": "payments", "uid": "u", "managedFields": [entry] if manager else []}
    return {"kind": "Deployment", "metadata": {**named, **metadata}, "spec": {"template": template(image)}}


class Watched:
    """An API that tells of these observations, and then of nothing more."""

    def __init__(self, *observations: Observation) -> None:
        self._observations = observations
        self.told = asyncio.Event()

    async def list_watch(self, path: str, *, field_selector: str = "") -> AsyncIterator[Observation]:
        for observation in self._observations:
            yield observation
        self.told.set()
        await asyncio.Event().wait()


async def outcome(*observations: Observation) -> str | Verdict:
    """What comes of a work that is done when everything was told."""
    watched = Watched(*observations)

    async def work() -> str:
        await watched.told.wait()
        return "proven"

    return await unless_reverted(cast("Kubernetes", watched), KEY, template("bad"), work())


@pytest.mark.parametrize(
    ("manager", "labels", "reason", "said"),
    [
        (
            "kustomize-controller",
            FLUX,
            "RevertedByOwner",
            "kustomize-controller (Flux Kustomization flux-system/apps)",
        ),
        # A manager whose marks are not there is anybody.
        ("kustomize-controller", {}, "RevertedByAnother", "kustomize-controller:"),
        ("kubectl", FLUX, "RevertedByAnother", "kubectl:"),
        ("", {}, "RevertedByAnother", "somebody unknown:"),
    ],
)
def test_who_put_it_back(manager: str, labels: dict[str, str], reason: str, said: str) -> None:
    verdict = find_revert(parse_workload(deployment("bad", manager, labels=labels)), template("bad"))
    assert verdict is not None
    assert verdict.reason == reason
    assert verdict.message.startswith(f"Reverted by {said}")


def test_another_template_is_no_revert() -> None:
    assert find_revert(parse_workload(deployment("good")), template("bad")) is None
    assert find_revert(parse_workload(deployment("bad")), None) is None


async def test_a_revert_ends_the_wait() -> None:
    later = Changed("MODIFIED", deployment("bad", "kubectl"))
    found = await outcome(Listed([deployment("good")], "1"), later)
    assert isinstance(found, Verdict)
    assert found.reason == "RevertedByAnother"


async def test_without_one_the_work_is_done() -> None:
    gone = Changed("DELETED", deployment("bad", "kubectl"))
    assert await outcome(Listed([deployment("good")], "1"), gone) == "proven"


async def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    async def work() -> str:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await unless_reverted(cast("Kubernetes", Watched()), KEY, template("bad"), work())
