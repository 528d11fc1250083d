"""Cells, ages and paths: what kubectl prints is what stands here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from responder.sandbox.api.columns import custom_columns
from responder.sandbox.api.durations import age_text, duration_text
from responder.sandbox.api.jsonpath import find_path
from responder.sandbox.api.kind_columns import KIND_COLUMNS
from responder.sandbox.api.kinds import BuiltInKind
from responder.sandbox.api.resources import Catalog
from responder.sandbox.api.status import ApiError
from responder.sandbox.api.tables import tabulation

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
META = {"name": "x", "creationTimestamp": "2026-01-01T11:58:30Z"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (130, "2m10s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (180 * 60, "3h"),
        (7 * 3600 + 60, "7h1m"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (51 * 3600, "2d3h"),
        (100 * 86400, "100d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_durations_have_two_units_at_most(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text
    if seconds >= 0:
        assert age_text((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == text


@pytest.mark.parametrize("since", [None, "", "yesterday", 5])
def test_an_age_that_is_none_is_unknown(since: object) -> None:
    assert age_text(since, NOW) == "<unknown>"


DOCUMENT = {
    "spec": {"parts": [{"name": "a", "on": True}, {"name": "b", "on": False}]},
    "metadata": {"annotations": {"example.com/note": "n"}},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.parts[0].name", ["a"]),
        (".spec.parts[-1].name", ["b"]),
        (".spec.parts[2].name", []),
        (".spec.parts[*].name", ["a", "b"]),
        ('.spec.parts[?(@.name=="b")].on', [False]),
        (".spec.parts[?(@.on==true)].name", ["a"]),
        (r".metadata.annotations.example\.com/note", ["n"]),
        (".metadata.annotations['example.com/note']", ["n"]),
        (".spec.none.name", []),
        ("spec..name", []),
    ],
)
def test_paths_lead_to_values(path: str, found: list[Any]) -> None:
    assert find_path(path, DOCUMENT) == found


def pod(phase: str = "Running", *states: dict[str, Any], **more: Any) -> dict[str, Any]:
    statuses = [{"ready": "running" in state, "restartCount": 0, "state": state} for state in states]
    containers = [{"name": str(index)} for index in range(len(states))]
    status = {"phase": phase, "containerStatuses": statuses, **more.pop("status", {})}
    return {"metadata": {**META, **more}, "spec": {"containers": containers}, "status": status}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}
RUNNING: dict[str, Any] = {"running": {}}
CRASHED = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("obj", "ready", "word"),
    [
        (pod("Pending"), "0/0", "Pending"),
        (pod("Running", RUNNING), "1/1", "Running"),
        (pod("Running", RUNNING, CRASHED), "1/2", "CrashLoopBackOff"),
        (pod("Running", {"terminated": {"exitCode": 3}}), "0/1", "ExitCode:3"),
        (pod("Failed", {"terminated": {"reason": "Error"}}), "0/1", "Error"),
        (pod("Running", RUNNING, deletionTimestamp="2026-01-01T12:00:00Z"), "1/1", "Terminating"),
        (pod("Running", RUNNING, {"terminated": {"reason": "Completed"}}), "1/2", "NotReady"),
        (pod("Running", RUNNING, {"terminated": {"reason": "Completed"}}, status=READY), "1/2", "Running"),
    ],
)
def test_a_pod_in_one_word(obj: dict[str, Any], ready: str, word: str) -> None:
    cells = {column.name: column.cell(obj, NOW) for column in KIND_COLUMNS["pods"]}
    assert (cells["Ready"], cells["Status"], cells["Age"]) == (ready, word, "90s")


SERVICE = {"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": [{"port": 80, "protocol": "TCP"}]}
HPA_METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}


@pytest.mark.parametrize(
    ("key", "obj", "cells"),
    [
        ("services", {"spec": SERVICE}, ["x", "ClusterIP", "10.96.0.1", "<none>", "80/TCP", "90s", "<none>"]),
        (
            "services",
            {"spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.2"], "selector": {"b": "2", "a": "1"}}},
            ["x", "LoadBalancer", "10.96.0.2", "<pending>", "<none>", "90s", "a=1,b=2"],
        ),
        (
            "endpointslices.discovery.k8s.io",
            {"addressType": "IPv4", "endpoints": [{"addresses": [f"10.0.0.{n}"]} for n in range(5)]},
            ["x", "IPv4", "<unset>", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more...", "90s"],
        ),
        (
            "events",
            {
                "type": "Normal",
                "reason": "Killing",
                "involvedObject": {"kind": "Pod", "name": "p"},
                "message": "m",
                "source": {"component": "kubelet", "host": "node-1"},
                "firstTimestamp": "2026-01-01T11:50:00Z",
                "lastTimestamp": "2026-01-01T11:59:00Z",
                "count": 4,
            },
            ["60s", "Normal", "Killing", "pod/p", "", "kubelet, node-1", "m", "10m", 4, "x"],
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            {
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                    "metrics": [HPA_METRIC],
                    "maxReplicas": 3,
                }
            },
            ["x", "Deployment/d", "cpu: <unknown>/50%", "<unset>", 3, 0, "90s"],
        ),
        (
            "poddisruptionbudgets.policy",
            {"spec": {"minAvailable": 1}, "status": {"disruptionsAllowed": 2}},
            ["x", "1", "N/A", 2, "90s"],
        ),
    ],
)
def test_cells_of_built_in_kinds(key: str, obj: dict[str, Any], cells: list[Any]) -> None:
    assert [column.cell({"metadata": META, **obj}, NOW) for column in KIND_COLUMNS[key]] == cells


def test_every_column_copes_with_an_object_that_is_hardly_filled() -> None:
    for key, columns in KIND_COLUMNS.items():
        bare = {"metadata": {"name": "x"}, "spec": {}, "roleRef": {"kind": "Role", "name": "r"}}
        cells = [column.cell(bare, NOW) for column in columns]
        assert "x" in cells, key


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("string", "a", "a"),
        ("string", {"a": 1}, '{"a":1}'),
        ("integer", 5, 5),
        ("integer", "5", None),
        ("boolean", True, True),
        ("date", "2026-01-01T11:58:30Z", "90s"),
        ("date", "soon", "<invalid>"),
        ("string", None, None),
    ],
)
def test_printer_columns_by_type(kind: str, value: Any, cell: Any) -> None:
    name, column = custom_columns([{"name": "C", "type": kind, "jsonPath": ".spec.c", "priority": 1}])
    obj = {"metadata": META, "spec": {"c": value}}
    assert (name.cell(obj, NOW), column.cell(obj, NOW), column.priority) == ("x", cell, 1)


@pytest.mark.parametrize(
    ("include", "kind"),
    [("", "PartialObjectMetadata"), ("Metadata", "PartialObjectMetadata"), ("Object", "Pod")],
)
def test_rows_carry_what_is_asked_for(include: str, kind: str) -> None:
    resource = Catalog().by_key("pods")
    assert resource is not None
    look = tabulation(resource, BuiltInKind(resource), {"includeObject": include}, NOW)
    body = {"metadata": {"resourceVersion": "5", "continue": ""}, "items": [pod()]}
    table = look.table(body)
    assert (table["metadata"], table["rows"][0]["object"]["kind"]) == ({"resourceVersion": "5"}, kind)
    assert len(table["columnDefinitions"]) == len(table["rows"][0]["cells"])
    assert look.table(body, headed=False)["columnDefinitions"] is None
    bare = tabulation(resource, BuiltInKind(resource), {"includeObject": "None"}, NOW)
    assert bare.table(body)["rows"][0]["object"] is None
    with pytest.raises(ApiError, match="unrecognized includeObject"):
        tabulation(resource, BuiltInKind(resource), {"includeObject": "All"}, NOW)
