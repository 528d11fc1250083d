"""What holds at every moment of any rollout of a Deployment, asserted at each write to the sandbox's store.

A second oracle: it knows the documented limits and none of the controllers' code paths, and follows what a
watcher of all objects would see. Limits and templates it works out and compares by itself.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from responder.sandbox.api.objects import Object, name_of
from responder.sandbox.api.store import Event
from responder.sandbox.cluster import Cluster
from responder.sandbox.controllers.fields import (
    annotations_of,
    controller_of,
    count,
    find_condition,
    generation_of,
    is_deleting,
    labels_of,
    observed_generation_of,
    status_of,
    uid_of,
    wanted_replicas,
)
from responder.sandbox.controllers.pods import has_ended, is_ready
from responder.sandbox.controllers.revisions import (
    DESIRED_REPLICAS,
    REVISION,
    integer_annotation,
    revision_of,
)

POD_TEMPLATE_HASH = "pod-template-hash"


class Judge:
    """Follows one Deployment in one namespace; a write that breaks a promise fails the story."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self.states = 0
        self.disturbed = False
        """Set once a pause or a new size came in: then Recreate may run two versions side by side."""
        self._store = cluster.store
        self._namespace, self._name = namespace, name
        self._highest: dict[str, int] = {}
        cluster.store.subscribe(self._observe)

    def _observe(self, event: Event) -> None:
        deployment = self._store.get("deployments.apps", self._namespace, self._name)
        if event.type == "DELETED" and event.resource.kind == "ReplicaSet" and not self._replica_sets():
            # Of a history that is gone (limit 0, paused at size 0) nothing is left to count on from.
            self._highest.clear()
        if deployment is None or event.type == "DELETED":
            return
        self.states += 1
        match event.resource.kind:
            case "Deployment":
                self._check_deployment(event)
            case "ReplicaSet":
                self._check_replica_set(event.object)
                self._check_replica_sets(deployment)
                self._check_scaling(deployment, event)
            case "Pod":
                self._check_pod(deployment, event)
            case "EndpointSlice":
                self._check_slice(event.object)
            case _:
                self.states -= 1

    def _check_deployment(self, event: Event) -> None:
        deployment, before = event.object, event.previous
        assert observed_generation_of(deployment) <= generation_of(deployment)
        replicas, ready = count(deployment, "replicas"), count(deployment, "readyReplicas")
        assert count(deployment, "updatedReplicas") <= replicas
        assert count(deployment, "availableReplicas") <= ready <= replicas
        self._check_never_falls("deployment", int(annotations_of(deployment).get(REVISION, "0")))
        if before is not None:
            assert generation_of(deployment) - generation_of(before) in (0, 1)
            self._check_conditions(deployment, before)

    def _check_conditions(self, deployment: Object, before: Object) -> None:
        """A condition that is new in this state says what is true in it."""
        status, size = status_of(deployment), wanted_replicas(deployment)
        computed = observed_generation_of(deployment) == generation_of(deployment)
        now, was = find_condition(deployment, "Available"), find_condition(before, "Available")
        if computed and now is not None and now != was:
            enough = count(deployment, "availableReplicas") >= size - max_unavailable(deployment)
            assert now["status"] == ("True" if enough else "False")
        now, was = find_condition(deployment, "Progressing"), find_condition(before, "Progressing")
        if now is None or (was is not None and now["reason"] == was["reason"]):
            return
        assert deployment["spec"].get("progressDeadlineSeconds") is not None
        match now["reason"]:
            case "NewReplicaSetAvailable":
                numbers = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
                assert computed
                assert numbers == {size}
            case "DeploymentPaused":
                assert deployment["spec"].get("paused")
            case "ProgressDeadlineExceeded" | "DeploymentResumed" | "NewReplicaSetCreated":
                assert not deployment["spec"].get("paused")
            case "ReplicaSetUpdated" | "FoundNewReplicaSet":
                assert now["status"] == "True"
            case other:
                raise AssertionError(f"no such reason: {other}")

    def _check_replica_set(self, found: Object) -> None:
        replicas, ready = count(found, "replicas"), count(found, "readyReplicas")
        assert observed_generation_of(found) <= generation_of(found)
        assert count(found, "availableReplicas") <= ready <= replicas
        assert count(found, "fullyLabeledReplicas") <= replicas
        self._check_never_falls(uid_of(found), revision_of(found) or 0)
        value = labels_of(found)[POD_TEMPLATE_HASH]
        assert name_of(found) == f"{self._name}-{value}"
        assert found["spec"]["selector"]["matchLabels"][POD_TEMPLATE_HASH] == value
        assert labels_of(found["spec"]["template"])[POD_TEMPLATE_HASH] == value

    def _check_replica_sets(self, deployment: Object) -> None:
        """Every revision belongs to one ReplicaSet, and so does every template."""
        sets = self._replica_sets()
        revisions = Counter(revision_of(each) for each in sets)
        assert max(revisions.values()) == 1, revisions
        for index, one in enumerate(sets):
            template = one["spec"]["template"]
            assert not any(equal_templates(template, other["spec"]["template"]) for other in sets[:index])
        matching = [
            each for each in sets if equal_templates(each["spec"]["template"], deployment["spec"]["template"])
        ]
        assert len(matching) <= 1

    def _check_scaling(self, deployment: Object, event: Event) -> None:
        if event.previous is None:
            assert not deployment["spec"].get("paused"), "a paused Deployment gets no new ReplicaSet"
        sets, size = self._replica_sets(), wanted_replicas(deployment)
        before = wanted_replicas(event.previous) if event.previous is not None else 0
        after = wanted_replicas(event.object)
        if after == before:
            return
        assert integer_annotation(event.object, DESIRED_REPLICAS) == size
        if after > before:
            # Surge: whatever grows, all together want no more than allowed.
            assert sum(map(wanted_replicas, sets)) <= size + max_surge(deployment)
        elif event.previous is not None and is_rolling(deployment):
            if integer_annotation(event.previous, DESIRED_REPLICAS) != size:
                return  # the size itself has changed: shared out in proportion, without regard to this limit
            others = sum(
                _serving(each, wanted_replicas(each)) for each in sets if uid_of(each) != uid_of(event.object)
            )
            left, were = others + _serving(event.object, after), others + _serving(event.object, before)
            # Unavailability: either enough are left, or nothing that served was taken.
            assert left >= size - max_unavailable(deployment) or left == were

    def _check_pod(self, deployment: Object, event: Event) -> None:
        pod, reference = event.object, controller_of(event.object)
        assert reference is not None
        owner = next((each for each in self._replica_sets() if uid_of(each) == reference["uid"]), None)
        if owner is None or event.type != "ADDED":
            return
        selector = owner["spec"]["selector"]["matchLabels"].items()
        assert selector <= labels_of(pod).items()
        pods = [each for each in self._store.scan("pods", self._namespace) if not has_ended(each)]
        mine = [each for each in pods if _owner_uid(each) == uid_of(owner) and not is_deleting(each)]
        assert len(mine) <= wanted_replicas(owner)
        if not is_rolling(deployment) and not self.disturbed:
            # Recreate: not even a pod that is about to end runs beside one of another version.
            assert {_owner_uid(each) for each in pods} == {uid_of(owner)}

    def _check_slice(self, found: Object) -> None:
        """Endpoints are ready exactly if their pod is, and is there to stay; none is listed twice."""
        pods = {uid_of(each): each for each in self._store.scan("pods", self._namespace)}
        endpoints = found["endpoints"] or []
        for each in endpoints:
            pod = pods[each["targetRef"]["uid"]]
            serving, terminating = is_ready(pod), is_deleting(pod)
            told = {"ready": serving and not terminating, "serving": serving, "terminating": terminating}
            assert each["conditions"] == told
            assert not has_ended(pod)
        uids = [each["targetRef"]["uid"] for each in endpoints]
        assert len(set(uids)) == len(uids)

    def _check_never_falls(self, subject: str, revision: int) -> None:
        assert revision >= self._highest.get(subject, 0), f"the revision of {subject} fell"
        self._highest[subject] = revision

    def _replica_sets(self) -> list[Object]:
        return list(self._store.scan("replicasets.apps", self._namespace))


def is_rolling(deployment: Object) -> bool:
    """What is stored always names its strategy."""
    return bool(deployment["spec"]["strategy"]["type"] == "RollingUpdate")


def max_surge(deployment: Object) -> int:
    """How many pods more than wanted there may be: a share of the size is rounded up."""
    return _share(deployment, "maxSurge", Fraction(99, 100)) if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """How many of the wanted may be missing: a share is rounded down, but both limits are never 0."""
    if not is_rolling(deployment):
        return 0
    share = _share(deployment, "maxUnavailable", Fraction(0))
    return min(share or (0 if max_surge(deployment) else 1), int(deployment["spec"]["replicas"]))


def _share(deployment: Object, limit: str, rounding: Fraction) -> int:
    value: int | str = deployment["spec"]["strategy"]["rollingUpdate"][limit]
    if isinstance(value, int):
        return value
    # With whole percentages of whole sizes nothing lies between 0 and 1/100.
    return int(Fraction(int(value.rstrip("%")), 100) * deployment["spec"]["replicas"] + rounding)


def equal_templates(one: Object, other: Object) -> bool:
    """As the server stores them, templates differ in nothing but the label that tells their hash."""
    return _bare(one) == _bare(other)


def _bare(template: Object) -> Object:
    labels = {name: value for name, value in labels_of(template).items() if name != POD_TEMPLATE_HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _serving(replica_set: Object, wanted: int) -> int:
    """How many available pods the ReplicaSet keeps when it wants so many."""
    return min(wanted, count(replica_set, "availableReplicas"))


def _owner_uid(pod: Object) -> str:
    reference = controller_of(pod)
    return str(reference["uid"]) if reference is not None else ""
