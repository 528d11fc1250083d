"""`responder explain` on a running story: what it would decide is what is decided, and it leaves no trace."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from responder.cli import explain_incident, explain_payload
from responder.cli.explain import Sources
from responder.cli.output import Output
from responder.incidents.evidence import numbers_of, since_of
from responder.incidents.model import Status
from responder.sandbox.world import HOME
from responder.workloads.views import FREEZE
from tests.flow.harness import NAMESPACES, QUICK, SHORT, Stage, stage
from tests.shared import run_story

MINUTE = timedelta(minutes=1)
WARM_UP = timedelta(minutes=3, seconds=30)
INCIDENT = "deployment-payment-service-1"


def sources(here: Stage) -> Sources:
    settings = here.settings
    return Sources(
        rules=settings.rules,
        kubeconfig=settings.kubeconfig,
        context=None,
        prometheus_url=settings.prometheus_url,
        alertmanager_urls=settings.alertmanager_urls,
        home=HOME,
    )


def state(here: Stage) -> list[tuple[str, str]]:
    """Every object of the cluster that the responder could have written, and its version."""
    kinds = (
        *("incidents.responder.dev", "workloadrecords.responder.dev", "decisions.responder.dev"),
        *("deployments.apps", "replicasets.apps", "namespaces"),
    )
    return [
        (item["metadata"]["name"], item["metadata"]["resourceVersion"])
        for kind in kinds
        for item in here.world.cluster.store.list(kind)
    ]


def payload(here: Stage, **labels: str) -> bytes:
    """What Alertmanager would send of an alert that fires."""
    alert = {
        "status": "firing",
        "labels": {
            "alertname": "PaymentErrors",
            "namespace": here.world.namespace,
            "deployment": here.world.name,
            "responder_rule": "payment-service/high-error-rate",
            **labels,
        },
        "startsAt": here.world.clock.now().isoformat(),
        "fingerprint": "f1",
    }
    return json.dumps({"version": "4", "alerts": [alert]}).encode()


async def explained(
    here: Stage, capsys: pytest.CaptureFixture[str], body: bytes | None = None, **changes: Any
) -> Any:
    """The incident's explanation with a judgement now, or the payload's, as JSON."""
    capsys.readouterr()
    where, clock = replace(sources(here), **changes), here.world.clock
    if body is None:
        place = here.world.namespace
        await explain_incident.explain(place, INCIDENT, where, clock, Output.JSON, judge=True)
    else:
        await explain_payload.explain(body, where, clock, Output.JSON)
    return json.loads(capsys.readouterr().out)


def reasons(checklist: list[dict[str, Any]]) -> dict[str, str]:
    return {each["check"]: each["reason"] for each in checklist}


def test_an_incident_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESPONDER_STORM_WAIT", "0s")

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.annotate(NAMESPACES, "", here.world.namespace, FREEZE, "audit")
            here.world.release("v2", error_rate=0.05)
            await here.reason("Frozen", 4 * MINUTE)
            await here.stop()
            before = state(here)
            found = await explained(here, capsys)
            assert state(here) == before
            recorded, now = found["recorded"], found["now"]
            assert (recorded["reason"], recorded["phase"]) == ("Frozen", "AwaitingDecision")
            assert (now["course"], now["reason"]) == ("Ask", "Frozen")
            assert reasons(recorded["checklist"]) == reasons(now["checklist"])
            assert [each["check"] for each in now["checklist"]] == [
                each["check"] for each in recorded["checklist"]
            ]
            # What holds now need not be what was recorded.
            here.annotate(NAMESPACES, "", here.world.namespace, FREEZE, None)
            found = await explained(here, capsys)
            assert reasons(found["recorded"]["checklist"])["NotFrozen"] == "Frozen"
            assert reasons(found["now"]["checklist"])["NotFrozen"] == "NotFrozen"

    run_story(story())


def test_a_checklist_says_everything_that_it_rests_on(tmp_path: Path) -> None:
    """Value, threshold, query, samples, since when: in the incident, which the others are made of."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.annotate_workload(FREEZE, "audit")
            here.world.release("v2", error_rate=0.05)
            await here.reason("Frozen", 4 * MINUTE)
            verdicts = {entry.check: entry for entry in Status.model_validate(here.status()).verdicts}
            (number,) = numbers_of(verdicts["StillTrue"])
            assert number.metric == "error_rate"
            assert float(number.value or 0) > float(number.threshold) == 0.01
            assert float(number.samples or 0) >= 100
            assert number.range == "1m"
            assert "payment_errors_total" in (number.query or "")
            since, now = since_of(verdicts["StillTrue"]), here.world.clock.now()
            assert since is not None
            assert now - 4 * MINUTE < since < now

    run_story(story())


def test_a_payload_gets_the_judgement_that_its_delivery_gets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            # The responder sees the release, and is told of no alert.
            here.silence()
            here.world.release("v2", error_rate=0.05)
            await here.rest(2 * MINUTE)
            before = state(here)
            found = await explained(here, capsys, payload(here), alertmanager_urls=())
            assert state(here) == before
            (alert,) = found["alerts"]
            assert alert["workload"]["name"] == "payment-service"
            assert alert["rules"] == [{"rule": "payment-service/high-error-rate", "action": "rollback"}]
            (judged,) = found["judged"]
            assert (judged["incident"], judged["opens"]) == (INCIDENT, True)
            judgement = judged["judgement"]
            assert (judgement["course"], judgement["reason"]) == ("RollBack", "EveryGuardPassed")
            assert found["notLookedAt"] == []
            assert here.undos() == []
            here.unsilence()
            await here.phase("Settling", 5 * MINUTE)
            rollback = here.status()["rollback"]
            assert rollback["automatic"] is True
            for side, told in (("bad", "from"), ("target", "to")):
                assert rollback[side]["uid"] == judgement[told]["uid"]
            # What it was decided on outlives its proof.
            assert reasons(here.status()["guards"]) == reasons(judgement["checklist"])
            assert not reasons(here.status()["verdicts"]).keys() & reasons(judgement["checklist"]).keys()

    run_story(story())


def test_a_payload_of_an_open_incident_and_of_one_that_was_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.annotate_workload(FREEZE, "audit")
            here.world.release("v2", error_rate=0.05)
            await here.reason("Frozen", 4 * MINUTE)
            (judged,) = (await explained(here, capsys, payload(here)))["judged"]
            assert (judged["incident"], judged["opens"]) == (INCIDENT, False)
            assert judged["judgement"]["reason"] == "Frozen"

    run_story(story())


def test_what_is_decided_is_not_judged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an undo left behind would be judged as if nothing had been done about it."""

    async def story() -> None:
        async with stage(tmp_path, SHORT, **QUICK) as here:
            await here.rest(WARM_UP)
            here.world.release("v2", error_rate=0.05)
            await here.phase("Settling", 5 * MINUTE)
            said = "Nothing is left to decide: the incident is Settling."
            found = await explained(here, capsys)
            assert (found["now"], found["untold"]) == (None, said)
            (judged,) = (await explained(here, capsys, payload(here)))["judged"]
            assert (judged["incident"], judged["judgement"], judged["untold"]) == (INCIDENT, None, said)
            place, clock = here.world.namespace, here.world.clock
            await explain_incident.explain(place, INCIDENT, sources(here), clock, Output.TEXT, judge=True)
            assert capsys.readouterr().out.endswith(f"Not judged anew. {said}\n")

    run_story(story())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prometheus_url": None}, "Prometheus: no --prometheus-url"),
        ({"kubeconfig": Path("/nowhere/kubeconfig")}, "the cluster: the kubeconfig /nowhere/kubeconfig"),
    ],
)
def test_what_could_not_be_looked_at_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    async def story() -> None:
        async with stage(tmp_path, SHORT, alone=False, **QUICK) as here:
            found = await explained(here, capsys, payload(here), **changes)
            assert found["alerts"][0]["workload"]["name"] == "payment-service"
            assert found["judged"] == []
            (missing,) = found["notLookedAt"]
            assert missing.startswith(said)

    run_story(story())
