"""Rule files read from disk and checked whole: every mistake of every file at once, with file:line:column.

The only part of the rules that reads files. Called at start, on reload, and by `responder rules check`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from responder.rules.alert_rules import ALERT_KEYS, parse_rules
from responder.rules.dependencies import parse_dependencies
from responder.rules.document import LARGEST_FILE_BYTES, Findings, compose
from responder.rules.fields import Fields, matching, one_of
from responder.rules.findings import Location, RuleError, RuleErrors
from responder.rules.model import Metric, Mode, RollbackPolicy, RuleFile, RuleSet
from responder.rules.sections import (
    METRIC_KEYS,
    dns_label,
    parse_metrics,
    parse_rollback,
    parse_slack,
    parse_workload,
)

API_VERSION = "responder.dev/v1alpha1"
KIND = "RuleFile"
FILE_KEYS = (
    "apiVersion", "kind", "service", "workload", "services", "mode", "metrics", "alerts", "dependencies",
    "rollback", "slack",
)  # fmt: skip
MOST_FILES = 5_000


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A file that is right by itself, with the places that mistakes between files are reported at."""

    file: RuleFile
    service_at: Location
    workload_at: Location


def load_rules(path: Path) -> RuleSet:
    """The rules of one file, or of every .yaml and .yml file directly in a directory.

    Raises RuleErrors with every mistake; a path without any rule file is one.
    """
    paths, errors = _list_files(path)
    loaded: list[_Loaded] = []
    for each in paths:
        findings = Findings(str(each))
        text = _read(each, findings)
        one = _parse(text, findings) if text is not None else None
        if one is not None:
            loaded.append(one)
        errors.extend(findings.errors)
    errors.extend(_compare_files(loaded))
    if errors:
        raise RuleErrors(errors)
    return RuleSet(tuple(one.file for one in loaded))


def parse_rule_file(text: str, path: str) -> RuleFile:
    """The rule file that `text` says; `path` names it in messages. Raises RuleErrors with every mistake."""
    findings = Findings(path)
    loaded = _parse(text, findings)
    if loaded is None:
        raise RuleErrors(findings.errors)
    return loaded.file


def _list_files(path: Path) -> tuple[Sequence[Path], list[RuleError]]:
    def wrong(message: str) -> tuple[Sequence[Path], list[RuleError]]:
        return (), [RuleError(str(path), 1, 1, message)]

    if path.is_file():
        return (path,), []
    try:
        # A mounted ConfigMap holds its real files in directories that begin with two dots.
        found = sorted(
            each
            for each in path.iterdir()
            if each.suffix in (".yaml", ".yml") and not each.name.startswith(".") and each.is_file()
        )
    except OSError as error:
        return wrong(f"can't be read: {error.strerror}. Give a rule file or a directory of them")
    if not found:
        return wrong("holds no rule file: rule files end in .yaml or .yml")
    if len(found) > MOST_FILES:
        return wrong(f"holds {len(found)} files, more than {MOST_FILES}")
    return found, []


def _read(path: Path, findings: Findings) -> str | None:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        findings.add_at(1, 1, f"can't be read: {error.strerror}")
        return None
    if len(content) > LARGEST_FILE_BYTES:
        findings.add_at(
            1, 1, f"is larger than {LARGEST_FILE_BYTES // 1024} KiB, which no rule file should be"
        )
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        findings.add_at(line, 1, "is not UTF-8 text")
        return None


def _parse(text: str, findings: Findings) -> _Loaded | None:
    root = compose(text, findings)
    if root is None or _is_of_another_kind(root, findings):
        return None
    fields = Fields(root, findings, "the file", FILE_KEYS, _hint_section)
    if not isinstance(root, yaml.MappingNode):
        return None
    _check_header(fields)
    service = fields.needed("service", dns_label, "", "the name by which people know the service")
    workload_node = fields.require("workload", "namespace and deployment, statefulset or daemonset")
    workload = parse_workload(workload_node, findings) if workload_node is not None else None
    metrics_node = fields.require("metrics", "named PromQL queries with a unit")
    metrics = parse_metrics(metrics_node, findings) if metrics_node is not None else {}
    alerts_node = fields.require("alerts", "conditions and what to do")
    rules = parse_rules(alerts_node, findings, service, workload, metrics) if alerts_node is not None else ()
    calls = fields.values.get("dependencies")
    dependencies = parse_dependencies(calls, findings, workload, metrics) if calls is not None else ()
    rollback = fields.values.get("rollback")
    whole = {name: metric for name, metric in metrics.items() if isinstance(metric, Metric)}
    policy = parse_rollback(rollback, findings, whole.values()) if rollback is not None else RollbackPolicy()
    slack = fields.values.get("slack")
    channel, deciders = parse_slack(slack, findings) if slack is not None else (None, ())
    services = fields.list_of("services", dns_label)
    mode = fields.optional("mode", one_of(Mode), Mode.ACT)
    if findings.errors or workload is None:
        return None
    file = RuleFile(
        path=findings.file,
        service=service,
        workload=workload,
        services=services,
        mode=mode,
        metrics=whole,
        rules=rules,
        rollback=policy,
        slack_channel=channel,
        deciders=deciders,
        warnings=tuple(sorted(findings.warnings)),
        dependencies=dependencies,
    )
    workload_at = findings.locate(fields.values["workload"])
    return _Loaded(file, findings.locate(fields.values["service"]), workload_at)


def _hint_section(value: yaml.Node) -> str:
    """Where a key that is unknown to the file belongs, by what stands under it: indented too little."""
    if not isinstance(value, yaml.MappingNode):
        return ""
    under = {key.value for key, _ in value.value if isinstance(key, yaml.ScalarNode)}
    sections = {"alerts": ALERT_KEYS, "metrics": METRIC_KEYS}
    likely = max(sections, key=lambda name: len(under.intersection(sections[name])))
    found = under.intersection(sections[likely])
    return f"did you mean it under {likely}? (indentation)" if found else ""


def _is_of_another_kind(root: yaml.Node, findings: Findings) -> bool:
    """Whether it is; recorded alone then, as all else in the file would be a mistake as well."""
    pairs = root.value if isinstance(root, yaml.MappingNode) else ()
    kind = next((value for key, value in pairs if key.value == "kind"), None)
    if not isinstance(kind, yaml.ScalarNode) or kind.value in ("", KIND):
        return False
    if kind.value == "SandboxScenario":
        findings.add(kind, "kind: this is a scenario, no rule file: play it by `responder sandbox FILE`")
    else:
        findings.add(kind, f"kind: {kind.value!r} is no kind known here: write {KIND}")
    return True


def _check_header(fields: Fields) -> None:
    for key, right in (("apiVersion", API_VERSION), ("kind", KIND)):
        only = matching(right.replace(".", r"\."), f"{key} known here: write {right}", 253)
        fields.needed(key, only, right, f"write {key}: {right}")


def _compare_files(loaded: Sequence[_Loaded]) -> Iterable[RuleError]:
    """Mistakes that only show between files; each names the place of the first."""
    yield from _duplicates(
        (one.file.workload, one.workload_at, f"{one.file.workload} already has a rule file") for one in loaded
    )
    yield from _duplicates(
        (one.file.service, one.service_at, f"the service {one.file.service} already has a rule file")
        for one in loaded
    )
    yield from _duplicates(
        (
            rule.alert_name,
            rule.location,
            f"the alert would be called {rule.alert_name} in Prometheus, as one is",
        )
        for one in loaded
        for rule in one.file.rules
    )


def _duplicates(entries: Iterable[tuple[Hashable, Location, str]]) -> Iterable[RuleError]:
    seen: dict[Hashable, Location] = {}
    for key, at, message in entries:
        first = seen.setdefault(key, at)
        if first is not at:
            yield RuleError(at.file, at.line, at.column, f"{message}: {first}")
