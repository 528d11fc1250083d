"""Each way in which a rollback can look done without being done, and the reason that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from responder.verdicts import Result, overall
from responder.verification.traffic import assess_traffic
from responder.workloads.views import Object
from tests.unit.verification import build
from tests.unit.verification.build import World, claim, endpoint, endpoint_slice, pod

Spoil = Callable[[World], Any]


def not_passed(world: World, **changes: Any) -> dict[str, str]:
    """The reasons of what did not pass, by check."""
    verdicts = assess_traffic(world.snapshot(), claim(**changes))
    return {verdict.check: verdict.reason for verdict in verdicts if not verdict.passed}


def result(world: World, **changes: Any) -> Result:
    return overall(assess_traffic(world.snapshot(), claim(**changes)))


def test_a_finished_rollback_passes_every_check() -> None:
    assert not_passed(World()) == {}
    assert result(World()) is Result.PASSED


def spoil_status(**counts: Any) -> Spoil:
    return lambda world: world.deployment["status"].update(counts)


def spoil_pod(**status: Any) -> Spoil:
    return lambda world: world.pods[0]["status"].update(status)


def terminate(world: World) -> None:
    world.pods[0]["metadata"]["deletionTimestamp"] = "2026-03-01T10:01:00Z"


def add_bad_pod(world: World, **metadata: Any) -> None:
    world.pods.append(pod("bad-pod", "bad", **metadata))


def deadline_exceeded(world: World) -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    world.deployment["status"]["conditions"] = [condition | {"lastUpdateTime": "2026-03-01T09:59:00Z"}]


def duplicate_target(world: World) -> None:
    """An older ReplicaSet of the same template, which is the one the controller takes."""
    twin = build.replicaset("good", 1, 0)
    twin["metadata"] |= {"name": "rs-twin", "uid": "uid-twin", "creationTimestamp": "2026-03-01T09:00:00Z"}
    world.replicasets.append(twin)


@pytest.mark.parametrize(
    ("spoil", "check", "reason"),
    [
        (lambda w: w.deployment["metadata"].update(uid="other"), "SameWorkload", "Superseded"),
        (lambda w: w.deployment["metadata"].update(deletionTimestamp="x"), "SameWorkload", "Superseded"),
        (
            lambda w: w.deployment["spec"].update(template=build.template("newer")),
            "TemplateRestored",
            "Superseded",
        ),
        (lambda w: w.deployment["spec"].update(paused=True), "NotPaused", "Paused"),
        (spoil_status(observedGeneration=6), "GenerationObserved", "GenerationNotObserved"),
        (spoil_status(updatedReplicas=2), "RolloutComplete", "RolloutIncomplete"),
        (spoil_status(replicas=4), "RolloutComplete", "RolloutIncomplete"),
        (spoil_status(readyReplicas=2), "RolloutComplete", "RolloutIncomplete"),
        (spoil_status(availableReplicas=None), "RolloutComplete", "RolloutIncomplete"),
        (spoil_status(terminatingReplicas=1), "RolloutComplete", "PodsTerminating"),
        (deadline_exceeded, "WithinProgressDeadline", "ProgressDeadlineExceeded"),
        (lambda w: w.replicasets.pop(0), "TargetChosen", "TargetGone"),
        (
            lambda w: w.replicasets[0]["metadata"].update(deletionTimestamp="x"),
            "TargetChosen",
            "TargetTerminating",
        ),
        (duplicate_target, "TargetChosen", "TargetNotChosen"),
        (
            lambda w: w.replicasets[1]["metadata"]["annotations"].update(
                {"deployment.kubernetes.io/revision": "4"}
            ),
            "TargetChosen",
            "RevisionNotCurrent",
        ),
        (
            lambda w: w.deployment["metadata"]["annotations"].update(
                {"deployment.kubernetes.io/revision": "2"}
            ),
            "TargetChosen",
            "RevisionNotCurrent",
        ),
        (lambda w: w.replicasets[0]["status"].update(readyReplicas=2), "TargetComplete", "TargetIncomplete"),
        (lambda w: w.replicasets[0]["metadata"].update(generation=2), "TargetComplete", "TargetIncomplete"),
        (
            lambda w: w.replicasets[1]["spec"].update(replicas=1),
            "OtherReplicaSetsEmpty",
            "OtherReplicaSetsActive",
        ),
        (
            lambda w: w.replicasets[1]["status"].update(replicas=1),
            "OtherReplicaSetsEmpty",
            "OtherReplicaSetsActive",
        ),
        (
            lambda w: w.replicasets[1]["status"].update(terminatingReplicas=1),
            "OtherReplicaSetsEmpty",
            "OtherReplicaSetsActive",
        ),
        (
            lambda w: w.replicasets[1]["metadata"].update(generation=2),
            "OtherReplicaSetsEmpty",
            "OtherReplicaSetsActive",
        ),
        (lambda w: w.pods.pop(), "TargetPodsReady", "TargetPodsMissing"),
        (spoil_pod(conditions=[]), "TargetPodsReady", "TargetPodsNotReady"),
        (spoil_pod(phase="Pending"), "TargetPodsReady", "TargetPodsNotReady"),
        (terminate, "TargetPodsReady", "TargetPodsNotReady"),
        (add_bad_pod, "NoOtherPods", "OtherRevisionPods"),
    ],
)
def test_the_workload_checks(spoil: Spoil, check: str, reason: str) -> None:
    world = World()
    spoil(world)
    assert not_passed(world)[check] == reason
    assert result(world) is Result.FAILED


def test_an_observed_generation_alone_is_no_completion() -> None:
    """The moment after the undo: the controller has seen it, and every pod is still the bad revision's."""
    world = World()
    world.replicasets = [build.replicaset("good", 3, 0), build.replicaset("bad", 2, 3)]
    world.pods = [pod(name, "bad") for name in "abc"]
    world.deployment["status"] |= {"observedGeneration": 7, "updatedReplicas": None}
    found = not_passed(world)
    assert "GenerationObserved" not in found
    assert found.get("RolloutComplete") == "RolloutIncomplete"
    assert found.get("NoOtherPods") == "OtherRevisionPods"


def test_a_generation_older_than_the_patch_is_not_observed() -> None:
    assert not_passed(World(), generation=8)["GenerationObserved"] == "GenerationNotObserved"


def test_an_autoscaler_or_annotator_does_not_supersede() -> None:
    world = World()
    world.deployment["metadata"]["generation"] = 9
    world.deployment["status"]["observedGeneration"] = 9
    assert not_passed(world) == {}


def test_pods_are_counted_by_owner_uid_not_by_label() -> None:
    """A bad pod that carries the good revision's labels is still the bad revision's."""
    world = World()
    add_bad_pod(world, labels=world.pods[0]["metadata"]["labels"])
    assert not_passed(world).get("NoOtherPods") == "OtherRevisionPods"


def test_a_good_label_does_not_stand_in_for_a_missing_pod() -> None:
    world = World()
    world.pods[0] = pod("a", "bad", labels=world.pods[0]["metadata"]["labels"])
    assert not_passed(world).get("TargetPodsReady") == "TargetPodsMissing"


def test_a_terminating_pod_of_another_revision_counts() -> None:
    world = World()
    add_bad_pod(world, deletionTimestamp="2026-03-01T10:01:00Z")
    assert not_passed(world).get("NoOtherPods") == "OtherRevisionPods"


def test_a_pod_that_has_ended_does_not_count() -> None:
    world = World()
    add_bad_pod(world)
    world.pods[-1]["status"] = {"phase": "Failed"}
    assert not_passed(world) == {}


def test_a_relabelled_target_pod_is_found() -> None:
    world = World()
    world.pods[0]["metadata"]["labels"] |= {"pod-template-hash": "debug"}
    assert not_passed(world).get("TargetPodsReady") == "TargetPodsNotReady"


def test_a_ready_bare_pod_that_a_service_selects_is_found() -> None:
    world = World()
    world.pods.append(pod("debug", "bad", ownerReferences=[]))
    assert not_passed(world) == {"OnlyTargetSelected": "ForeignPodSelected"}


def test_the_deadline_of_the_bad_rollout_is_told_from_that_of_the_undo() -> None:
    world = World()
    deadline_exceeded(world)
    assert not_passed(world, stale_progressing_at="2026-03-01T09:59:00Z") == {}
    assert "WithinProgressDeadline" in not_passed(world, stale_progressing_at="2026-03-01T09:58:00Z")


def test_a_look_during_which_the_deployment_changed_proves_nothing() -> None:
    world = World()
    world.before = {**world.deployment, "metadata": build.meta("payment-service", resourceVersion="99")}
    assert not_passed(world) == {"Settled": "Unsettled"}
    assert result(world) is Result.UNKNOWN


def test_zero_replicas_are_unknown_never_passed() -> None:
    world = World(pods=[], slices=[endpoint_slice("slice-1")])
    world.replicasets = [build.replicaset("good", 3, 0), build.replicaset("bad", 2, 0)]
    world.deployment["spec"]["replicas"] = 0
    world.deployment["status"] = {"observedGeneration": 7}
    assert set(not_passed(world).values()) == {"ZeroReplicas"}
    assert result(world) is Result.UNKNOWN


def test_no_service_is_unknown_never_passed() -> None:
    world = World(services=[], slices=[])
    assert not_passed(world, services=()) == {"ServicesKnown": "NoService"}
    assert result(world, services=()) is Result.UNKNOWN


def test_a_named_service_that_is_missing_fails() -> None:
    world = World()
    assert not_passed(world, services=("payment-service", "gone")) == {"Service/gone": "ServiceMissing"}


def test_a_service_that_nobody_named_but_that_selects_the_pods_is_judged() -> None:
    world = World()
    world.services.append(build.service("internal", selector={"version": "good"}))
    world.slices.append(endpoint_slice("internal-1", endpoint("a"), of="internal"))
    assert not_passed(world) == {"Service/internal/IPv4": "EndpointsIncomplete"}


def test_a_service_that_selects_only_the_old_pods_is_judged_while_they_are_there() -> None:
    world = World()
    add_bad_pod(world)
    world.services.append(build.service("old-only", selector={"version": "bad"}))
    world.slices.append(endpoint_slice("old-1", endpoint("bad-pod"), of="old-only"))
    assert not_passed(world)["Service/old-only/IPv4"] == "OtherEndpointServing"


def test_a_service_that_selects_only_what_was_undone_is_left_without_a_pod() -> None:
    """It is asked about all the same: whoever calls it gets no answer any more."""
    world = World()
    world.services.append(build.service("new-only", selector={"version": "bad"}))
    world.slices.append(endpoint_slice("new-1", of="new-only"))
    world.slices[-1]["ports"] = None
    assert not_passed(world, bad=build.template("bad"))["Service/new-only/IPv4"] == "NoReadyEndpoint"


def written_by(world: World, *managers: str) -> None:
    """Somebody wrote the template, one after another."""
    world.deployment["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": "Update",
            "time": f"2026-03-01T10:00:{second:02}Z",
            "fieldsV1": {"f:spec": {"f:template": {}}},
        }
        for second, manager in enumerate(managers)
    ]


@pytest.mark.parametrize(
    ("managers", "reason"),
    [
        (["kubectl", "responder"], "AdmissionChangedTemplate"),
        (["responder", "kubectl"], "Superseded"),
        ([], "Superseded"),
    ],
)
def test_a_template_that_nobody_wrote_since_was_changed_on_its_way(managers: list[str], reason: str) -> None:
    world = World()
    world.deployment["spec"]["template"] = build.template("meshed")
    written_by(world, *managers)
    assert not_passed(world)["TemplateRestored"] == reason


def test_a_service_of_something_else_does_not_matter() -> None:
    world = World()
    world.services.append(build.service("other", selector={"app": "other"}))
    world.services.append(build.service("without-selector", selector=None))
    assert not_passed(world) == {}


def test_an_external_name_can_not_be_judged() -> None:
    world = World(services=[build.service(type="ExternalName", selector=None)])
    assert not_passed(world) == {"Service/payment-service": "ExternalNameService"}


IPV4 = "Service/payment-service/IPv4"
LEAVING = {"ready": False, "serving": True, "terminating": True}


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (endpoint("bad-pod"), "OtherEndpointServing"),
        # What proxies fall back to: a terminating pod that still serves.
        (endpoint("bad-pod", **LEAVING), "OtherEndpointServing"),
        # publishNotReadyAddresses: ready although it neither serves nor stays.
        (endpoint("bad-pod", ready=True, serving=False, terminating=True), "OtherEndpointServing"),
        (endpoint("bad-pod", ready=True, serving=False), "OtherEndpointServing"),
        # Absent conditions mean ready and serving.
        (endpoint("bad-pod", terminating=False), "OtherEndpointServing"),
        (endpoint("bad-pod", ready=False), "OtherEndpointServing"),
        (endpoint("bad-pod", serving=False), "OtherEndpointServing"),
        # The target's own pod on its way out.
        (endpoint("a", **LEAVING), "OtherEndpointServing"),
        (endpoint(None), "UnattributableEndpoint"),
        (endpoint(None, ready=False, serving=False), "UnattributableEndpoint"),
        (endpoint("bad-pod", ready=False, serving=False, terminating=True), None),
        # Another port's slice that does not have this pod ready yet.
        (endpoint("a", ready=False, serving=False), "EndpointsIncomplete"),
    ],
)
@pytest.mark.parametrize("where", ["same slice", "second slice", "slice by hand"])
def test_one_more_endpoint(extra: Object, reason: str | None, where: str) -> None:
    world = World()
    match where:
        case "same slice":
            world.slices[0]["endpoints"].append(extra)
        case "second slice":
            world.slices[1]["endpoints"].append(extra)
        case _:
            world.slices.append(endpoint_slice("by-hand", extra))
    assert not_passed(world) == ({} if reason is None else {IPV4: reason})


def test_conditions_that_are_absent_altogether_mean_serving() -> None:
    world = World()
    foreign = endpoint("bad-pod")
    del foreign["conditions"]
    world.slices[1]["endpoints"].append(foreign)
    assert not_passed(world) == {IPV4: "OtherEndpointServing"}


def test_an_endpoint_that_is_missing_in_the_union_of_slices() -> None:
    world = World()
    world.slices.pop()
    assert not_passed(world) == {IPV4: "EndpointsIncomplete"}


def test_the_same_pod_in_two_slices_counts_once() -> None:
    world = World()
    world.slices[1]["endpoints"].append(endpoint("a"))
    assert not_passed(world) == {}


def test_zero_endpoints_fail() -> None:
    world = World(slices=[endpoint_slice("empty")])
    assert not_passed(world) == {IPV4: "NoReadyEndpoint"}
    world = World(slices=[{**endpoint_slice("null"), "endpoints": None}])
    assert not_passed(world) == {IPV4: "NoReadyEndpoint"}


METRICS = {"name": "metrics", "port": 9090, "targetPort": 9090}


@pytest.mark.parametrize("ports", [None, [], [{"name": "web", "port": 8080}], [{"name": "http"}]])
def test_ready_endpoints_without_the_services_port_get_nothing(ports: Any) -> None:
    """A named targetPort that the target's pods lack: their slice says ready, and lists no port."""
    world = World()
    for each in world.slices:
        each["ports"] = ports
    assert not_passed(world) == {IPV4: "PortClosed"}


def test_each_port_has_to_lead_to_every_pod() -> None:
    world = World(services=[build.service(ports=[build.HTTP, METRICS])])
    assert not_passed(world) == {IPV4: "PortClosed"}
    world.slices[0]["ports"] = [{"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}]
    assert not_passed(world) == {IPV4: "PortClosed"}
    # One slice a port is as good as both in one.
    world.slices.append({**endpoint_slice("slice-3", endpoint("c")), "ports": [METRICS]})
    assert not_passed(world) == {}


def test_one_nameless_port_is_matched_with_the_slices_nameless_one() -> None:
    world = World(services=[build.service(ports=[{"port": 80}])])
    assert not_passed(world) == {IPV4: "PortClosed"}
    for each in world.slices:
        each["ports"] = [{"name": "", "port": 80}]
    assert not_passed(world) == {}


def test_a_headless_service_without_ports_is_judged_by_its_endpoints() -> None:
    world = World(services=[build.service(clusterIP="None", ports=None)])
    for each in world.slices:
        each["ports"] = None
    assert not_passed(world) == {}


def test_each_ip_family_is_judged_by_itself() -> None:
    world = World(services=[build.service(ipFamilies=["IPv4", "IPv6"])])
    assert not_passed(world) == {"Service/payment-service/IPv6": "SlicesMissing"}
    world.slices.append(endpoint_slice("v6", endpoint("a"), endpoint("b"), family="IPv6"))
    assert not_passed(world) == {"Service/payment-service/IPv6": "EndpointsIncomplete"}
    world.slices[-1]["endpoints"].append(endpoint("c"))
    assert not_passed(world) == {}


def test_a_family_the_service_does_not_use_may_be_empty_but_not_serve() -> None:
    world = World()
    world.slices.append(endpoint_slice("v6", family="IPv6"))
    assert not_passed(world) == {}
    world.slices[-1]["endpoints"].append(endpoint("bad-pod"))
    assert not_passed(world) == {"Service/payment-service/IPv6": "OtherEndpointServing"}


def test_slices_of_other_services_do_not_count() -> None:
    world = World()
    world.slices.append(endpoint_slice("other", endpoint("bad-pod"), of="other"))
    assert not_passed(world) == {}


def test_fewer_endpoints_and_pods_than_replicas_fail() -> None:
    """Pods and endpoints agree with each other, but not with what is wanted."""
    world = World()
    world.pods.pop()
    world.slices.pop()
    assert not_passed(world) == {"TargetPodsReady": "TargetPodsMissing", IPV4: "EndpointsIncomplete"}
