"""Errors as a real API server words them, recorded: the two distinctions that only the details tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from responder.clients.kubernetes import ApiError, Invalid, NotFound
from responder.clients.kubernetes.errors import parse_error
from tests.shared import require_transcripts


def refusals(code: int) -> Iterator[tuple[str, ApiError]]:
    """Each recorded step that got this code, and the error we make of it."""
    for file in sorted(require_transcripts().glob("*.json")):
        for step in json.loads(file.read_text())["steps"]:
            response: dict[str, Any] = step.get("response", {})
            if response.get("status") == code:
                body = response["body"]
                content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                yield step["step"], parse_error(code, content, request=step["step"], writes=True)


def test_a_422_without_details_is_a_json_patch_that_did_not_apply() -> None:
    found = [(step, error) for step, error in refusals(422) if isinstance(error, Invalid)]
    assert {step for step, error in found if error.failed_test} == {
        step for step, _ in found if step.startswith("JSON patch")
    }
    assert len(found) > 20


def test_a_404_without_a_name_is_a_resource_that_is_not_served() -> None:
    found = [(step, error) for step, error in refusals(404) if isinstance(error, NotFound)]
    assert {step for step, error in found if error.resource_missing} == {
        "a resource that does not exist",
        "an API group that does not exist",
        "a version that does not exist",
        "a path that does not exist",
        "a subresource that does not exist",
        "before the definition",
        "after the definition",
    }
    assert len(found) > 10
