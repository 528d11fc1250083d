"""Freeze marks in a cluster: finding, writing and listing them. Called by freeze.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from responder.cli.cluster import NotFoundHere, Place, find_home, find_namespace, find_workload
from responder.errors import Temporary
from responder.workloads.freeze import FreezeMark, parse_freeze
from responder.workloads.key import KIND_BY_LABEL
from responder.workloads.views import FREEZE, View

if TYPE_CHECKING:
    from responder.clients.kubernetes import Kubernetes

# A controller writes a workload's status while it rolls out, several times a second.
_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class Marked:
    """An object that may carry the mark: what it stands for, its path, and the mark."""

    where: str
    path: str
    resource_version: str
    mark: FreezeMark | None


async def write_mark(
    kubernetes: Kubernetes, place: Place, home: str | None, value_for: Callable[[Marked], str | None]
) -> Marked:
    """Write the value that `value_for` makes of what is there (None: no mark), and return what was there."""
    from responder.clients.kubernetes import Conflict

    for _ in range(_ATTEMPTS):
        there = await _read(kubernetes, place, home)
        value = value_for(there)
        if value is None and there.mark is None:
            return there
        metadata = {"resourceVersion": there.resource_version, "annotations": {FREEZE: value}}
        try:
            await kubernetes.merge_patch(there.path, {"metadata": metadata})
        except Conflict:
            continue
        return there
    raise Temporary(f"{there.where} changed {_ATTEMPTS} times while its freeze was written: try again.")


async def _read(kubernetes: Kubernetes, place: Place, home: str | None) -> Marked:
    from responder.clients.kubernetes import paths

    if place.namespace is not None and place.name is not None:
        key = await find_workload(kubernetes, place)
        path = paths.workload(key.kind, key.namespace, key.name)
        return _marked(str(key), path, View(await kubernetes.get(path)))
    where = "everything" if place.namespace is None else f"namespace {place.namespace}"
    name = place.namespace or await find_home(kubernetes, home)
    return _marked(where, paths.namespace(name), await find_namespace(kubernetes, name))


def _marked(where: str, path: str, obj: View) -> Marked:
    value = obj.annotations.get(FREEZE)
    return Marked(where, path, obj.resource_version, None if value is None else parse_freeze(value))


async def list_marks(kubernetes: Kubernetes, place: Place, home: str | None) -> tuple[list[Marked], bool]:
    """Every mark that may be looked at, and whether that was all; what was not is named on stderr.

    Raises NotFoundHere for no place.
    """
    from responder.clients.kubernetes import Forbidden, NotFound, paths

    try:
        own = await find_home(kubernetes, home)
    except (NotFoundHere, Forbidden) as error:
        print(f"responder: the freeze of everything was not looked at: {error}", file=sys.stderr)
        own = ""
    found, all_seen = [], bool(own)
    try:
        if place.namespace is None:
            seen = [View(each) for each in (await kubernetes.list(paths.namespaces())).items]
        else:
            seen = [await find_namespace(kubernetes, place.namespace)]
            if own and own != place.namespace:
                seen.append(View(await kubernetes.get(paths.namespace(own))))
        for view in seen:
            where = "everything" if view.name == own else f"namespace {view.name}"
            found.append(_marked(where, paths.namespace(view.name), view))
    except (Forbidden, NotFound) as error:
        print(f"responder: namespaces were not looked at: {error}", file=sys.stderr)
        all_seen = False
    if place.name is not None:
        with suppress(Forbidden):  # of a kind that is named below as not looked at
            await find_workload(kubernetes, place)
    for kind in (place.kind,) if place.kind else KIND_BY_LABEL.values():
        try:
            listed = await kubernetes.list(paths.workloads(kind, place.namespace))
        except Forbidden as error:
            print(f"responder: {kind}s were not looked at: {error}", file=sys.stderr)
            all_seen = False
            continue
        views = (view for view in map(View, listed.items) if place.name in (None, view.name))
        found += [_marked(f"{kind.lower()} {v.namespace}/{v.name}", "", v) for v in views]
    return [each for each in found if each.mark is not None], all_seen
