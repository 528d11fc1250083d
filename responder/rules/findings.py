"""Where something stands in a rule file, and what is wrong there. Pure; for everything that reads rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from responder.errors import Permanent


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file. Line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class RuleError:
    """One mistake: where it is, what is wrong, and where possible the nearest right thing."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class RuleErrors(Permanent):
    """The rule files can't be used; `errors` holds every mistake found, in the order of the files."""

    def __init__(self, errors: Iterable[RuleError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(str(error) for error in self.errors))


class TextError(ValueError):
    """A text can't be parsed; `offset` counts characters from its start."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a person who wrote `word`: the nearest known word, or all of them."""
    words: Sequence[str] = sorted(known)
    if not words:
        return ""
    close = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(words)}"
