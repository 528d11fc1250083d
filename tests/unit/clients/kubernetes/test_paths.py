"""Names come from alerts: none may lead a path astray."""

from __future__ import annotations

import pytest

from responder.clients.kubernetes import paths


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../secrets", "a/b", "a?b", "a%2fb", "A", "-a", "a-", "a b", "ä", "a\n", "a" * 254],
)
def test_what_can_be_no_name_gets_no_path(name: str) -> None:
    with pytest.raises(paths.InvalidName, match="can't be the name"):
        paths.deployment("shop", name)
    with pytest.raises(paths.InvalidName):
        paths.deployments(name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (paths.deployment("shop", "pay-1.x"), "/apis/apps/v1/namespaces/shop/deployments/pay-1.x"),
        (paths.replicasets(None), "/apis/apps/v1/replicasets"),
        (paths.pods("shop"), "/api/v1/namespaces/shop/pods"),
        (paths.services("shop"), "/api/v1/namespaces/shop/services"),
        (paths.endpointslices("shop"), "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"),
        (paths.namespace("shop"), "/api/v1/namespaces/shop"),
        (
            paths.status(paths.incident("shop", "i")),
            "/apis/responder.dev/v1alpha1/namespaces/shop/incidents/i/status",
        ),
        (paths.workloadrecords(None), "/apis/responder.dev/v1alpha1/workloadrecords"),
        (paths.decision("shop", "d"), "/apis/responder.dev/v1alpha1/namespaces/shop/decisions/d"),
        (paths.deployment("s", "a" * 253), f"/apis/apps/v1/namespaces/s/deployments/{'a' * 253}"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert path == expected
