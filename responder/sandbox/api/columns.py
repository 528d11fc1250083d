"""The columns in which the API server shows each kind: names, types, and what stands in a cell.

Pure. Pods and a few others need more words than fit here: pod_columns.py. tables.py puts them together.
Source: Kubernetes pkg/printers/internalversion/printers.go
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.sandbox.api.durations import UNKNOWN, age_text
from responder.sandbox.api.jsonpath import find_path
from responder.sandbox.api.objects import Object

NONE, UNSET = "<none>", "<unset>"
Cell = Callable[[Object, datetime], Any]

NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may"
    " allow a client to request the generation of an appropriate name automatically. Name is primarily"
    " intended for creation idempotence and configuration definition. Cannot be updated. More info:"
    " https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
AGE_DESCRIPTION = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not"
    " guaranteed to be set in happens-before order across separate operations. Clients may not set this"
    " value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for"
    " lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column; a priority above 0 shows only in wide output."""

    name: str
    type: str
    cell: Cell
    priority: int = 0
    format: str = ""
    description: str = ""

    def definition(self) -> dict[str, Any]:
        """Return the column as a Table describes it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


def field(path: str, absent: Any = "") -> Cell:
    """Make a cell that shows the value at a dotted path."""
    parts = path.split(".")

    def cell(obj: Object, _now: datetime) -> Any:
        value: Any = obj
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        return absent if value is None else value

    return cell


def age(obj: Object, now: datetime) -> str:
    """A cell: how old the object is."""
    return age_text(obj["metadata"].get("creationTimestamp"), now)


def labels_text(labels: dict[str, Any] | None) -> str:
    """Write labels as a selector does, "<none>" when there are none."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


NAME = Column("Name", "string", field("metadata.name"), 0, "name", NAME_DESCRIPTION)
AGE = Column("Age", "string", age, description=AGE_DESCRIPTION)
CREATED_AT = Column("Created At", "date", field("metadata.creationTimestamp"), description=AGE_DESCRIPTION)
DEFAULT_COLUMNS = (NAME, CREATED_AT)


def custom_columns(declared: Sequence[dict[str, Any]]) -> tuple[Column, ...]:
    """Return the columns of a custom resource: its name, then what its definition declares, else its age."""
    if not declared:
        declared = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    return (NAME, *(_declared(column) for column in declared))


def _declared(column: dict[str, Any]) -> Column:
    path, kind = str(column["jsonPath"]), str(column["type"])

    def cell(obj: Object, now: datetime) -> Any:
        found = find_path(path, obj)
        return None if not found or found[0] is None else _typed(kind, found[0], now)

    about = column.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    return Column(
        column["name"], kind, cell, int(column.get("priority") or 0), column.get("format", ""), about
    )


def _typed(kind: str, value: Any, now: datetime) -> Any:
    match kind:
        case "integer" | "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value) if kind == "integer" else value
        case "boolean" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str):
            text = age_text(value, now)
            return "<invalid>" if text == UNKNOWN else text
        case "string":
            return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        case _:
            return None
