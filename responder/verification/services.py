"""Which Services send traffic to a workload, and to which pods they send it. Pure.

The slices say where traffic may go, so all of them count, whoever wrote them. Called by the traffic
assessment, and by the signature for the names of the Services to watch.
Source: Kubernetes api/discovery/v1/types.go, pkg/proxy/topology.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from responder.verdicts import Verdict, failed, passed, unknown
from responder.verification.claim import Claim
from responder.verification.snapshot import Snapshot
from responder.verification.wording import join_some
from responder.workloads.views import Endpoint, EndpointSlice, Pod, Service


def assess_services(snapshot: Snapshot, claim: Claim) -> tuple[Verdict, ...]:
    """One verdict a Service and IP family, and one a named Service that can't be judged."""
    services = relevant_services(snapshot, claim)
    found = {service.name for service in services}
    missing = tuple(_missing(name) for name in claim.services if name not in found)
    if not services and not missing:
        message = "No Service selects the workload, so nothing shows where its traffic goes."
        return (unknown("ServicesKnown", "NoService", message),)
    judged = tuple(verdict for service in services for verdict in _assess_service(service, snapshot, claim))
    return (*missing, check_foreign_pods(services, snapshot, claim), *judged)


def relevant_services(snapshot: Snapshot, claim: Claim) -> tuple[Service, ...]:
    """The Services the rule file names, and every one that selects the target's or any other of the pods.

    One that selects only pods like those that were undone is left with none, and goes on being called.
    """
    label_sets = workload_label_sets(snapshot, claim)
    return tuple(
        service
        for service in snapshot.services
        if service.name in claim.services or any(map(service.selects, label_sets))
    )


def workload_label_sets(snapshot: Snapshot, claim: Claim) -> tuple[dict[str, str], ...]:
    """The labels of the restored template, of the one that was undone, and of every pod of the workload."""
    templates = [claim.template] if claim.bad is None else [claim.template, claim.bad]
    of_templates = (dict((each.get("metadata") or {}).get("labels") or {}) for each in templates)
    distinct = {tuple(sorted(pod.labels.items())) for pod in snapshot.owned_pods}
    return (*of_templates, *(dict(labels) for labels in sorted(distinct)))


def ready_target_pods(snapshot: Snapshot, claim: Claim) -> tuple[Pod, ...]:
    """The target's pods that may serve."""
    pods = snapshot.pods_of(claim.target_uid)
    return tuple(pod for pod in pods if pod.running and pod.ready and not pod.terminating)


def check_foreign_pods(services: Iterable[Service], snapshot: Snapshot, claim: Claim) -> Verdict:
    """No Service selects a ready pod that is not the target's: of another workload, bare or relabelled.

    The pods are asked as well as the slices, because slices can lag behind them for minutes.
    """
    own = {pod.uid for pod in snapshot.pods_of(claim.target_uid)}
    foreign = {
        pod.name: service.name
        for service in services
        for pod in snapshot.pods
        if pod.ready and not pod.terminal and pod.uid not in own and service.selects(pod.labels)
    }
    if foreign:
        text = join_some(f"{pod} (by Service {service})" for pod, service in sorted(foreign.items()))
        message = f"Services select ready pods that are not the target's: {text}."
        return failed("OnlyTargetSelected", "ForeignPodSelected", message, pods=len(foreign))
    return passed(
        "OnlyTargetSelected", "OnlyTargetSelected", "The Services select no ready pod of anything else."
    )


def _missing(name: str) -> Verdict:
    message = (
        f"The rule file names the Service {name}, which does not exist; correct the rule or the Service."
    )
    return failed(f"Service/{name}", "ServiceMissing", message)


def _assess_service(service: Service, snapshot: Snapshot, claim: Claim) -> tuple[Verdict, ...]:
    if service.spec.get("type") == "ExternalName":
        message = f"Service {service.name} is a DNS name for elsewhere: nothing shows where its traffic goes."
        return (unknown(f"Service/{service.name}", "ExternalNameService", message),)
    slices: dict[str, list[EndpointSlice]] = {}
    for each in snapshot.slices:
        if each.service == service.name:
            slices.setdefault(each.address_type, []).append(each)
    families = sorted({*service.ip_families, *slices})
    return tuple(
        check_family(service, family, slices.get(family, ()), snapshot, claim) for family in families
    )


def check_family(
    service: Service, family: str, slices: Sequence[EndpointSlice], snapshot: Snapshot, claim: Claim
) -> Verdict:
    """The endpoints of one IP family, over all its slices, are the target's ready pods and no other pod's.

    Each port of the Service has to lead to them.
    """
    check, where = f"Service/{service.name}/{family}", f"Service {service.name} ({family})"
    if not slices:
        return failed(check, "SlicesMissing", f"{where} has no EndpointSlice.")
    endpoints = [endpoint for each in slices for endpoint in each.endpoints]
    nameless = [endpoint.address for endpoint in endpoints if endpoint.pod_uid is None]
    if nameless:
        message = f"{where} has endpoints that name no pod: {join_some(nameless)}."
        return failed(check, "UnattributableEndpoint", message, endpoints=len(nameless))
    expected = {pod.uid for pod in ready_target_pods(snapshot, claim)}
    outsiders = [endpoint for endpoint in endpoints if _carries_other_traffic(endpoint, expected)]
    if outsiders:
        described = join_some(_describe(endpoint, snapshot) for endpoint in outsiders)
        message = f"{where} may send traffic to pods that are not the target's: {described}."
        return failed(check, "OtherEndpointServing", message, endpoints=len(outsiders))
    if family not in service.ip_families and not endpoints:
        return passed(
            check, "FamilyUnused", f"{where} has no endpoint, and the Service does not use {family}."
        )
    compared = _compare(check, where, endpoints, expected, snapshot.workload.replicas)
    if not compared.passed:
        return compared
    return _find_closed_port(check, where, service, slices, expected) or compared


def _find_closed_port(
    check: str, where: str, service: Service, slices: Sequence[EndpointSlice], expected: set[str]
) -> Verdict | None:
    """A port by which pods get nothing, ready as they are: proxies send only to ports that a slice lists."""
    for name, target_port in service.ports.items():
        open_to = (each for each in slices if name in {listed for listed, _ in each.ports})
        reached = {endpoint.pod_uid for each in open_to for endpoint in each.endpoints}
        closed = expected - reached
        if closed:
            message = (
                f"{where} leads by port {name or target_port} to {len(expected & reached)} of the target's"
                f" {len(expected)} ready pods: its targetPort, {target_port}, is none of the others'."
            )
            found = len(closed)
            return failed(check, "PortClosed", message, port=name, targetPort=target_port, closed=found)
    return None


def _compare(check: str, where: str, endpoints: list[Endpoint], expected: set[str], wanted: int) -> Verdict:
    """The ready endpoints against the target's ready pods and the replicas wanted."""
    # One slice of several may lag: a pod counts only when no slice says otherwise of it.
    not_ready = {endpoint.pod_uid for endpoint in endpoints if not endpoint.ready or endpoint.terminating}
    ready = {str(endpoint.pod_uid) for endpoint in endpoints} - not_ready
    evidence = {"ready": len(ready), "targetPods": len(expected), "wanted": wanted}
    if wanted == 0:
        return unknown(check, "ZeroReplicas", f"{where} has nothing to send traffic to.", **evidence)
    if not ready:
        return failed(check, "NoReadyEndpoint", f"{where} has no ready endpoint.", **evidence)
    if ready != expected or len(ready) != wanted:
        message = (
            f"{where} has {len(ready & expected)} of the target's {len(expected)} ready pods"
            f" as ready endpoints, where {wanted} are wanted."
        )
        return failed(check, "EndpointsIncomplete", message, **evidence)
    return passed(
        check, "TargetServesAll", f"{where}: all {wanted} ready endpoints are the target's.", **evidence
    )


def _carries_other_traffic(endpoint: Endpoint, expected: set[str]) -> bool:
    # Proxies fall back to serving, terminating endpoints, and per node when traffic is kept local: each of
    # them can still get new connections.
    if not endpoint.ready and not endpoint.serving:
        return False
    return endpoint.terminating or endpoint.pod_uid not in expected


def _describe(endpoint: Endpoint, snapshot: Snapshot) -> str:
    name = next((pod.name for pod in snapshot.pods if pod.uid == endpoint.pod_uid), endpoint.address)
    flags = {"ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating}
    return f"{name} ({', '.join(flag for flag, on in flags.items() if on)})"
