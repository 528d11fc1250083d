"""The responder's own undo and its proof, end to end on each subject."""

from __future__ import annotations

from datetime import timedelta

from responder.actions.rollback import Applied, Attempt, Refused, roll_back, void
from responder.actions.undo import Fence
from responder.clients.kubernetes import paths
from responder.verdicts import Result
from responder.verification.claim import Claim
from responder.verification.prove_traffic import prove_traffic
from responder.workloads.templates import same_template, without_hash
from tests.contract.conftest import Tell
from tests.contract.subject import NAME, Subject, version_of

WITHIN = timedelta(minutes=3)


async def decided(subject: Subject) -> Attempt:
    """v2 has replaced v1 and is to be undone."""
    await subject.create()
    await subject.release("v2")
    return Attempt(
        key=subject.key,
        workload_uid=(await subject.deployment()).uid,
        bad_uid=(await subject.replicaset("v2"))["metadata"]["uid"],
        target_uid=(await subject.replicaset("v1"))["metadata"]["uid"],
        fence=Fence(None, "incident.1"),
        freezes_overruled=(),
        tried_at=subject.clock.now(),
        generation=(await subject.deployment()).generation,
        bad_number=None,
        intended_at=subject.clock.now(),
    )


def test_an_undo_is_applied_once_and_its_traffic_proven(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        attempt = await decided(subject)
        result = await roll_back(subject.api, attempt)
        assert isinstance(result, Applied)
        claim = Claim(
            key=subject.key,
            workload_uid=attempt.workload_uid,
            target_uid=attempt.target_uid,
            template=without_hash((await subject.replicaset("v1"))["spec"]["template"]),
            generation=result.generation,
            services=(NAME,),
            stale_progressing_at=None,
        )
        proof = await prove_traffic(
            subject.api,
            subject.clock,
            claim,
            deadline_at=subject.clock.now() + WITHIN,
            hold=timedelta(seconds=2),
        )
        assert (proof.result, proof.reason) == (Result.PASSED, "TrafficProven"), proof.message
        assert proof.hold_seconds >= 2
        pods = (await subject.api.list(paths.pods(subject.namespace))).items
        assert {pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods} == {attempt.target_uid}
        # Said again, after a lost answer or a restart, it is recognised and sends nothing.
        version = (await subject.deployment()).resource_version
        again = await roll_back(subject.api, attempt)
        assert isinstance(again, Applied)
        assert (await subject.deployment()).resource_version == version

    tell(story)


def test_an_undo_of_what_somebody_changed_is_refused_without_effect(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        attempt = await decided(subject)
        await subject.release("v3")
        result = await roll_back(subject.api, attempt)
        assert isinstance(result, Refused)
        assert result.reason == "TemplateChanged"
        found = await subject.deployment()
        assert (version_of(found.raw), found.fence) == ("v3", None)

    tell(story)


def test_a_voided_undo_can_not_take_effect_any_more(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        attempt = await decided(subject)
        assert await void(subject.api, attempt) is None
        result = await roll_back(subject.api, attempt)
        assert isinstance(result, Refused)
        assert result.reason == "FencedByAnother"
        found = await subject.deployment()
        assert version_of(found.raw) == "v2"
        assert same_template(found.template, (await subject.replicaset("v2"))["spec"]["template"])

    tell(story)
