"""Objects as rows of a Table, which is how kubectl asks for what it prints.

Called by the server, for answers and for watches. It writes nothing.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.sandbox.api.columns import DEFAULT_COLUMNS, Column, custom_columns
from responder.sandbox.api.custom import CustomKind
from responder.sandbox.api.kind_columns import KIND_COLUMNS
from responder.sandbox.api.kinds import Kind
from responder.sandbox.api.objects import Object
from responder.sandbox.api.resources import Resource
from responder.sandbox.api.status import bad_request
from responder.sandbox.api.store import Store
from responder.sandbox.api.views import as_partial, inside
from responder.sandbox.api.watches import WatchEvent

_INCLUDES = ("", "Metadata", "None", "Object")


@dataclass(frozen=True, slots=True)
class Tabulation:
    """How one request wants objects of one resource shown: columns, and what a row carries besides cells."""

    resource: Resource
    columns: tuple[Column, ...]
    include: str
    now: datetime

    def table(self, body: Object, *, headed: bool = True) -> Object:
        """Return an object or a list as a Table; headed: with the definitions of its columns."""
        items = body.get("items", [body])
        shown = ("resourceVersion", "continue", "remainingItemCount")
        metadata = {name: body["metadata"][name] for name in shown if body["metadata"].get(name)}
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": [column.definition() for column in self.columns] if headed else None,
            "rows": [self._row(item) for item in items],
        }

    def _row(self, item: Object) -> dict[str, Any]:
        stored = inside(self.resource, item)
        cells = [column.cell(stored, self.now) for column in self.columns]
        return {"cells": cells, "object": self._object(item)}

    def _object(self, item: Object) -> Object | None:
        match self.include:
            case "None":
                return None
            case "Object":
                named = {"kind": self.resource.kind, "apiVersion": self.resource.api_version}
                return {**named, **item}
            case _:
                return as_partial(item)


class EventTables:
    """The events of one watch as Tables; only the first of them describes the columns."""

    def __init__(self, store: Store, resource: Resource, query: Mapping[str, str]) -> None:
        self._store = store
        self._resource = resource
        self._query = query
        self._headed = True
        # What is asked for wrongly is refused before the watch begins.
        tabulation(resource, store.kind(resource), query, store.clock.now())

    def shown(self, event: WatchEvent) -> WatchEvent:
        """Return the event with a Table in place of its object; errors stay as they are."""
        if event["type"] == "ERROR":
            return event
        kind, now = self._store.kind(self._resource), self._store.clock.now()
        look = tabulation(self._resource, kind, self._query, now)
        table = look.table(event["object"], headed=self._headed)
        self._headed = False
        if event["type"] == "BOOKMARK":
            table["rows"] = []
        return {**event, "object": table}


def tabulation(resource: Resource, kind: Kind, query: Mapping[str, str], now: datetime) -> Tabulation:
    """Return how a request with query wants its Table; ApiError 400 for an includeObject there is not."""
    include = query.get("includeObject", "")
    if include not in _INCLUDES:
        raise bad_request(f'unrecognized includeObject value: "{include}"')
    if isinstance(kind, CustomKind):
        columns = custom_columns(kind.columns)
    else:
        columns = KIND_COLUMNS.get(resource.storage_key, DEFAULT_COLUMNS)
    return Tabulation(resource, columns, include, now)
