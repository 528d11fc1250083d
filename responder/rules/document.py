"""YAML text to nodes that know their place, and the list of what was found wrong. Pure; used by the loader.

Values stay the text that was written: YAML 1.1 would read `on` as true and 22:30 as 1350.
"""

from __future__ import annotations

import yaml

from responder.rules.findings import Location, RuleError, RuleWarning, TextError

# A rule file is five levels deep; the composer recurses in C, where deep nesting would end the program.
_DEEPEST = 20
LARGEST_FILE_BYTES = 256 * 1024

_BLOCK_STYLES = ("|", ">")


# What the YAML parser says where lines begin too far to the left or to the right.
_OF_INDENTATION = (
    "mapping values are not allowed",
    "did not find expected key",
    "did not find expected '-' indicator",
    "could not find expected ':'",
)


class Findings:
    """What is wrong in one file, collected so that a person sees every mistake at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.errors: list[RuleError] = []
        self.warnings: list[RuleWarning] = []

    def add(self, node: yaml.Node, message: str, offset: int = 0) -> None:
        """Record a mistake at a node, or `offset` characters into the text of a scalar on one line."""
        place = self.locate(node)
        column = place.column + _written_offset(node, offset)
        self.errors.append(RuleError(self.file, place.line, column, message))

    def warn(self, node: yaml.Node, message: str, offset: int = 0) -> None:
        """Record what is allowed at a node but hardly meant, placed as a mistake would be."""
        place = self.locate(node)
        column = place.column + _written_offset(node, offset)
        self.warnings.append(RuleWarning(self.file, place.line, column, message))

    def add_at(self, line: int, column: int, message: str) -> None:
        """Record a mistake at a line and column, both counted from 1."""
        self.errors.append(RuleError(self.file, line, column, message))

    def locate(self, node: yaml.Node) -> Location:
        """Where the node begins."""
        return Location(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _written_offset(node: yaml.Node, offset: int) -> int:
    """How far from the node's start a character of its value stands; 0 where it was folded or escaped."""
    if offset == 0 or not isinstance(node, yaml.ScalarNode) or node.style in _BLOCK_STYLES:
        return 0
    start, end = node.start_mark, node.end_mark
    quotes = 2 if node.style in ("'", '"') else 0
    if start.line != end.line or end.column - start.column != len(node.value) + quotes:
        return 0
    return offset + quotes // 2


def compose(text: str, findings: Findings) -> yaml.Node | None:
    """The root node of the one YAML document in `text`, or None with the reason in the findings."""
    try:
        if not _check_events(text, findings):
            return None
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        findings.add_at(*place, f"not YAML: {said}{_guess(text, error.problem or '', place)}")
        return None
    except yaml.YAMLError as error:
        findings.add_at(1, 1, f"not YAML: {str(error).splitlines()[0]}")
        return None
    if root is None:
        findings.add_at(
            1, 1, "the file is empty: it needs apiVersion, kind, service, workload, metrics and alerts"
        )
    return root


def _guess(text: str, problem: str, place: tuple[int, int]) -> str:
    """What most likely is behind a complaint of the YAML parser, in parentheses; empty where unclear."""
    line, column = place
    lines = text.splitlines()
    if line <= len(lines) and lines[line - 1][column - 1 : column] == "\t":
        return " (a tab? indent with spaces)"
    return " (indentation?)" if problem.startswith(_OF_INDENTATION) else ""


def _check_events(text: str, findings: Findings) -> bool:
    """Refuse deep nesting and explicit tags, from the event stream, before anything recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        message = None
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            message = f"nested more than {_DEEPEST} levels deep" if depth > _DEEPEST else None
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            message = f"the tag {tag} is not used in rule files"
        if message is not None and event.start_mark is not None:
            findings.add_at(event.start_mark.line + 1, event.start_mark.column + 1, message)
            return False
    return True


def scalar_text(node: yaml.Node) -> str:
    """The text of a scalar as it was written. Raises TextError for lists, mappings and nothing at all."""
    if not isinstance(node, yaml.ScalarNode):
        found = "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
        raise TextError(f"expected a value, found {found}")
    if node.tag == "tag:yaml.org,2002:null" and node.style in (None, ""):
        raise TextError("has no value")
    text: str = node.value
    return text
