"""Pod specs are stored in one form, however they were written: a write in another form is no change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from responder.sandbox.api.normal_form import canonical_quantity
from responder.sandbox.api.store import Object, Store
from tests.shared import run_story

MakeStore = Callable[[], Store]
MakeObject = Callable[..., Object]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        (".25", "250m"),
        (0.5, "500m"),
        (2, "2"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("2048", "2048"),
        ("100M", "100M"),
        ("1000M", "1G"),
        ("0", "0"),
        ("0Mi", "0"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("512Mi", "512Mi"),
        ("0.5Ki", "512"),
        ("0.1n", "1n"),
        ("1e3", "1e3"),
        ("much", "much"),
        (True, True),
    ],
)
def test_each_amount_has_one_form(written: object, stored: object) -> None:
    assert canonical_quantity(written) == stored
    assert canonical_quantity(stored) == stored


def test_another_form_is_no_change(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        store = make_store()
        plain = make_deployment()
        plain["spec"]["template"]["spec"]["containers"][0]["resources"] = {
            "requests": {"cpu": "1", "memory": "1Gi"}
        }
        made = store.create("deployments.apps", plain, manager="test")
        wordy = make_deployment()
        spec: dict[str, Any] = wordy["spec"]["template"]["spec"]
        spec |= {"hostNetwork": False, "hostPID": False, "nodeSelector": {}, "volumes": []}
        spec["containers"][0] |= {
            "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
            "tty": False,
            "args": [],
        }
        written = store.update("deployments.apps", wordy, manager="test")
        assert written["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        # What Go holds as a pointer or a struct stays, empty as it is.
        assert written["spec"]["template"]["spec"]["securityContext"] == {}

    run_story(story())


def test_a_pod_is_stored_so_too(make_store: MakeStore) -> None:
    async def story() -> None:
        container = {"name": "app", "image": "app:1", "env": [{"name": "EMPTY", "value": ""}]}
        pod = {
            "metadata": {"name": "one", "namespace": "default"},
            "spec": {"hostNetwork": False, "containers": [container]},
        }
        stored = make_store().create("pods", pod, manager="test")
        assert "hostNetwork" not in stored["spec"]
        assert stored["spec"]["containers"][0]["env"] == [{"name": "EMPTY"}]

    run_story(story())
