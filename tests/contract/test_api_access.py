"""Who may not is told so: a token that nobody knows, and one that has no rights."""

from __future__ import annotations

from pathlib import Path

import pytest

from responder.clients.kubernetes import Forbidden, Kubernetes, Unauthorized, paths
from tests.contract.conftest import Tell
from tests.contract.subject import Subject


async def read_secretly(api: Kubernetes, subject: Subject) -> None:
    try:
        await api.list(paths.pods(subject.namespace))
    finally:
        await api.close()


def test_a_token_that_nobody_knows_is_unauthorized(tell: Tell, tmp_path: Path) -> None:
    async def story(subject: Subject) -> None:
        with pytest.raises(Unauthorized):
            await read_secretly(await subject.client_with("made-up", tmp_path), subject)

    tell(story)


def test_an_account_without_rights_is_forbidden(tell: Tell, tmp_path: Path) -> None:
    async def story(subject: Subject) -> None:
        accounts = f"/api/v1/namespaces/{subject.namespace}/serviceaccounts"
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stranger"}}
        await subject.api.create(accounts, account)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        issued = await subject.api.create(f"{accounts}/stranger/token", request)
        with pytest.raises(Forbidden) as raised:
            await read_secretly(await subject.client_with(issued["status"]["token"], tmp_path), subject)
        assert f"system:serviceaccount:{subject.namespace}:stranger" in raised.value.message

    tell(story)
