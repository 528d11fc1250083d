"""Reads a scenario file; what is wrong in it is told with file and line.

The only part of the scenarios that reads files. Called by the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from responder.errors import ResponderError
from responder.sandbox.scenarios.model import NoSuchWorkloadError, Scenario

_LARGEST_BYTES = 256 * 1024
_KIND = "SandboxScenario"
EXAMPLE = Path(__file__).parent / "bad-release.yaml"


class ScenarioError(ResponderError):
    """A scenario file can't be played; the message has a line for each mistake."""


def load_scenario(path: Path) -> Scenario:
    """The scenario that the file describes. Raises ScenarioError with every mistake found."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ScenarioError(f"{path}: can't be read ({error.strerror}): name a scenario file") from error
    if len(data) > _LARGEST_BYTES:
        raise ScenarioError(f"{path}: has more than {_LARGEST_BYTES} bytes: split it into several scenarios")
    try:
        text = data.decode()
        content, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: is no text in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise ScenarioError(f"{path}:{line}: is no YAML: {error.problem}") from error
    if isinstance(content, dict) and content.get("kind") not in (None, _KIND):
        raise ScenarioError(f"{path}:{_line_of(node, ('kind',))}: {_of_another_kind(content['kind'])}")
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        mistakes = [
            f"{path}:{_line_of(node, place)}: {_said(place, mistake)}"
            for mistake in error.errors()
            for place in (_place_of(mistake),)
        ]
        raise ScenarioError("\n".join(mistakes)) from None


def _of_another_kind(kind: object) -> str:
    """What the file is instead; told alone, as all else in it would be a mistake as well."""
    if kind == "RuleFile":
        return f"kind: this is a rule file: give it by --rules, and a file of kind {_KIND} as the scenario"
    return f"kind: {kind!r} is no kind known here: write {_KIND}"


def _place_of(mistake: ErrorDetails) -> tuple[int | str, ...]:
    """Where in the file it is: of what only the whole shows, the error itself says it."""
    raised = mistake.get("ctx", {}).get("error")
    return raised.place if isinstance(raised, NoSuchWorkloadError) else mistake["loc"]


def _said(place: Sequence[int | str], mistake: ErrorDetails) -> str:
    where = ".".join(map(str, place))
    words = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "missing":
        words = "is needed, and is not there"
    elif mistake["type"] == "extra_forbidden":
        written = str(place[-1])
        # What is a key elsewhere is none here, and can't be what was meant.
        meant = get_close_matches(written, [key for key in _keys() if key != written], n=1)
        words = f"is no key here; {f'did you mean {meant[0]}?' if meant else 'take it out'}"
    return f"{where}: {words}" if where else words


def _keys() -> list[str]:
    """Every key that a scenario may have, at any depth."""
    schema = Scenario.model_json_schema()
    parts = (schema, *schema["$defs"].values())
    return sorted({key for part in parts for key in part.get("properties", {})})


def _line_of(node: yaml.Node | None, place: Sequence[int | str]) -> int:
    """The line of the innermost part of the place that is there."""
    line = 1 if node is None else node.start_mark.line + 1
    for step in place:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    line, found = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
            line = found.start_mark.line + 1
        if found is None:
            break
        node = found
    return line
