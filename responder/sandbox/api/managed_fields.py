"""Who wrote an object last: the managedFields entries that a real server keeps.

Pure, in place. Entries name manager, operation and subresource; their field sets are left empty.
"""

from __future__ import annotations

from responder.sandbox.api.objects import Object

_LIMIT = 50


def record_manager(
    new: Object, old: Object | None, manager: str, api_version: str, at: str, subresource: str = ""
) -> None:
    """Note in new that manager wrote it, moving the manager's entry to the end."""
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": api_version,
        "time": at,
        "fieldsType": "FieldsV1",
        "fieldsV1": {},
    }
    if subresource:
        entry["subresource"] = subresource
    before = (old or {}).get("metadata", {}).get("managedFields") or []
    others = [
        kept
        for kept in before
        if (kept["manager"], kept["operation"], kept.get("subresource", ""))
        != (manager, "Update", subresource)
    ]
    new["metadata"]["managedFields"] = [*others, entry][-_LIMIT:]
