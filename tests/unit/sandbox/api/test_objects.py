"""A copy of an object is one through and through."""

from __future__ import annotations

from responder.sandbox.api.objects import copied


def test_a_copy_shares_nothing_with_the_original_nor_with_itself() -> None:
    """As a YAML alias reads, and as manifests are put together: one dict at two places."""
    labels = {"app": "a"}
    copy = copied({"metadata": labels, "selector": labels})
    copy["metadata"]["app"] = "b"
    assert copy["selector"] == labels == {"app": "a"}
