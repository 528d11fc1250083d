"""A node's proxy learns late, and picks endpoints as kube-proxy does."""

from __future__ import annotations

from typing import Any

import pytest

from responder.sandbox.traffic.proxy import (
    MAX_PENDING,
    Endpoint,
    NodeProxy,
    concerns,
    lists_port,
    read_slice,
    usable_endpoints,
)


def endpoint(
    address: str, *, ready: bool = True, serving: bool = True, terminating: bool = False
) -> Endpoint:
    return Endpoint(address, f"uid-{address}", ready, serving, terminating)


READY = endpoint("10.0.0.1")
ALSO_READY = endpoint("10.0.0.2")
DRAINING = endpoint("10.0.0.3", ready=False, terminating=True)
STARTING = endpoint("10.0.0.4", ready=False, serving=False)
DEAF = endpoint("10.0.0.5", ready=False, serving=False, terminating=True)


@pytest.mark.parametrize(
    ("known", "usable"),
    [
        ([READY, DRAINING, STARTING], [READY]),
        ([DRAINING, STARTING, DEAF], [DRAINING]),
        ([STARTING, DEAF], []),
        ([ALSO_READY, READY], [READY, ALSO_READY]),
        ([endpoint("10.0.0.1", ready=False, terminating=True), READY], [READY]),
        ([READY, endpoint("10.0.0.1", ready=False, terminating=True)], [READY]),
    ],
)
def test_ready_endpoints_else_those_that_serve_while_they_terminate(
    known: list[Endpoint], usable: list[Endpoint]
) -> None:
    assert usable_endpoints(known) == usable


def test_learns_a_change_only_after_its_lag() -> None:
    proxy = NodeProxy(lag_seconds=0.8)
    proxy.learn("slice", (READY,), 0.0, at_once=True)
    proxy.learn("slice", (ALSO_READY,), 10.0)

    assert set(proxy.route(4, 10.79)) == {READY}
    assert set(proxy.route(4, 10.8)) == {ALSO_READY}
    proxy.learn("slice", None, 20.0)
    assert set(proxy.route(4, 20.7)) == {ALSO_READY}
    assert not proxy.route(4, 20.8)


def test_spreads_evenly_over_several_slices() -> None:
    proxy = NodeProxy(lag_seconds=0.0)
    proxy.learn("one", (READY,), 0.0)
    proxy.learn("two", (ALSO_READY, DRAINING), 0.0)

    total = proxy.route(0, 1.0)
    for _ in range(7):
        total.update(proxy.route(3, 1.0))

    assert total.keys() == {READY, ALSO_READY}
    assert total.total() == 21
    assert abs(total[READY] - total[ALSO_READY]) <= 1


def test_its_backlog_is_bounded() -> None:
    proxy = NodeProxy(lag_seconds=1e9)
    proxy.learn("slice", (READY,), 0.0)
    for _ in range(MAX_PENDING):
        proxy.learn("slice", (ALSO_READY,), 0.0)

    assert set(proxy.route(1, 0.0)) == {READY}


def slice_of(labels: dict[str, str], *endpoints: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": "s", "labels": labels},
        "endpoints": list(endpoints) or None,
    }


def test_absent_conditions_mean_ready_and_serving() -> None:
    pod = {"kind": "Pod", "uid": "u1"}
    read = read_slice(
        slice_of(
            {},
            {"addresses": ["10.0.0.1"], "targetRef": pod},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "serving": True, "terminating": True}},
            {
                "addresses": ["10.0.0.3"],
                "conditions": {"ready": None},
                "targetRef": {"kind": "Node", "uid": "n"},
            },
        )
    )

    assert read == (
        Endpoint("10.0.0.1", "u1", True, True, False),
        Endpoint("10.0.0.2", "", False, True, True),
        Endpoint("10.0.0.3", "", True, True, False),
    )
    assert read_slice(slice_of({})) == ()


@pytest.mark.parametrize(
    ("labels", "used"),
    [
        ({"kubernetes.io/service-name": "pay"}, True),
        ({"kubernetes.io/service-name": "other"}, False),
        ({}, False),
        ({"kubernetes.io/service-name": "pay", "service.kubernetes.io/headless": ""}, False),
        ({"kubernetes.io/service-name": "pay", "service.kubernetes.io/service-proxy-name": "x"}, False),
        ({"kubernetes.io/service-name": "pay", "endpointslice.kubernetes.io/managed-by": "by-hand"}, True),
    ],
)
def test_uses_every_slice_of_the_service_that_is_meant_for_it(labels: dict[str, str], used: bool) -> None:
    assert concerns(slice_of(labels), "default", "pay") is used
    assert not concerns(slice_of(labels), "elsewhere", "pay")


@pytest.mark.parametrize(
    ("ports", "listed"),
    [
        ([{"name": "http", "port": 8080}], True),
        ([{"name": "metrics", "port": 9090}, {"name": "http", "port": 8080}], True),
        ([{"name": "metrics", "port": 9090}], False),
        ([{"name": "http", "port": None}], False),
        ([{"port": 8080}], False),
        ([], False),
        (None, False),
    ],
)
def test_a_slice_leads_somewhere_only_by_the_ports_it_lists(ports: Any, listed: bool) -> None:
    assert lists_port({**slice_of({}), "ports": ports}, "http") is listed
