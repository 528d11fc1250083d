"""What the responder relies on in the controllers: the order of an undo's states, adoption, endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

from responder.clients.kubernetes import Changed, Listed, Object, paths
from responder.tasks import alongside
from responder.workloads.templates import same_template
from responder.workloads.views import REVISION, SERVICE_NAME
from responder.workloads.workload import Deployment
from tests.contract.conftest import Tell
from tests.contract.subject import CLUSTER, NAME, Subject, version_of


@asynccontextmanager
async def states(subject: Subject, path: str) -> AsyncIterator[list[Object]]:
    """Every state of a collection's objects that a watch sees while the context lasts."""
    seen: list[Object] = []

    async def watch() -> None:
        async with aclosing(cast("Any", subject.api.list_watch(path))) as observations:
            async for observation in observations:
                match observation:
                    case Listed(items):
                        seen.extend(items)
                    case Changed(_, found):
                        seen.append(found)

    async with alongside(watch()):

        async def begun() -> bool:
            return bool(seen)

        await subject.until(begun, f"the first look at {path}")
        yield seen


async def put_back(subject: Subject, version: str) -> Object:
    """Put a version's template back as the undo does."""
    template = (await subject.replicaset(version))["spec"]["template"]
    del template["metadata"]["labels"]["pod-template-hash"]
    return await subject.api.json_patch(
        subject.path, [{"op": "replace", "path": "/spec/template", "value": template}]
    )


def test_an_undo_is_observed_before_it_has_any_effect(tell: Tell) -> None:
    """Neither the revision nor an observed generation says that a pod has changed."""

    async def story(subject: Subject) -> None:
        await subject.create()
        await subject.release("v2")
        async with states(subject, paths.deployments(subject.namespace)) as seen:
            patched = await put_back(subject, "v1")
            await subject.complete()
        generation = patched["metadata"]["generation"]
        after = [Deployment(each) for each in seen if each["metadata"]["generation"] >= generation]
        observed = [each.count("observedGeneration") >= generation for each in after]
        renumbered = [each.annotations.get(REVISION) == "3" for each in after]
        assert not observed[0]
        assert observed == sorted(observed)
        assert renumbered == sorted(renumbered)
        assert renumbered.index(True) <= observed.index(True)
        # The first counts of the new generation are those of the old pods.
        first = after[observed.index(True)]
        assert first.count("updatedReplicas") < first.replicas
        versions = {
            version_of(rs) for rs in (await subject.api.list(paths.replicasets(subject.namespace))).items
        }
        assert versions == {"v1", "v2"}

    tell(story)


def test_the_old_replicaset_serves_again_under_the_next_revision(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await subject.create()
        before = await subject.replicaset("v1")
        await subject.release("v2")
        answer = await put_back(subject, "v1")
        # What the server stored is what was sent: the controller finds the old ReplicaSet by it.
        assert same_template(answer["spec"]["template"], before["spec"]["template"])
        await subject.complete()
        again = await subject.replicaset("v1")
        assert again["metadata"]["uid"] == before["metadata"]["uid"]
        assert again["metadata"]["annotations"][REVISION] == "3"
        assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
        assert (await subject.replicaset("v2"))["spec"]["replicas"] == 0

    tell(story)


def test_a_deployment_made_anew_adopts_what_was_orphaned(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await subject.create()
        old, orphan = await subject.deployment(), await subject.replicaset("v1")
        await subject.api.delete(f"{subject.path}?propagationPolicy=Orphan")

        async def orphaned() -> bool:
            return not (await subject.replicaset("v1"))["metadata"].get("ownerReferences")

        await subject.until(orphaned, "the orphaning")
        await subject.api.create(paths.deployments(subject.namespace), subject.manifest("v1"))
        await subject.complete()
        new, adopted = await subject.deployment(), await subject.replicaset("v1")
        assert new.uid != old.uid
        assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
        (owner,) = adopted["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (new.uid, True)

    tell(story)


def test_an_endpoint_that_terminates_serves_but_is_not_ready(tell: Tell) -> None:
    async def story(subject: Subject) -> None:
        await subject.create()
        path = paths.endpointslices(subject.namespace)
        async with states(subject, path) as seen:
            await subject.release("v2")
        ours = [each for each in seen if each["metadata"]["labels"].get(SERVICE_NAME) == NAME]
        conditions = [endpoint["conditions"] for each in ours for endpoint in each.get("endpoints") or []]
        leaving = [each for each in conditions if each.get("terminating")]
        if not leaving:
            subject.leave_out("terminating endpoints: the pods were gone before a slice said so")
            assert subject.name == CLUSTER, "the sandbox shows every state to a watcher"
        assert not any(each["ready"] for each in leaving)
        assert not leaving or any(each["serving"] for each in leaving)
        pods = {
            pod["metadata"]["uid"] for pod in (await subject.api.list(paths.pods(subject.namespace))).items
        }

        async def agree() -> bool:
            slices = (await subject.api.list(path)).items
            found = [e for each in slices for e in each.get("endpoints") or []]
            ready = {e["targetRef"]["uid"] for e in found if e["conditions"]["ready"]}
            return ready == pods and len(found) == len(pods)

        await subject.until(agree, "slices with exactly the pods there are")

    tell(story)
