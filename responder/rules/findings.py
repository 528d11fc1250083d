"""Where something stands in a rule file, and what is wrong there. Pure; for everything that reads rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from responder.errors import Permanent

# What Prometheus and other tools call the same thing; spelling alone would not find it.
_OTHER_WORDS = {
    **dict.fromkeys(("expr", "condition", "on", "when"), "if"),
    **dict.fromkeys(("percent", "percentage", "%"), "ratio"),
}


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


@dataclass(frozen=True, slots=True, order=True)
class RuleWarning(RuleError):
    """Something that is allowed but hardly meant; the file is used as it is."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: warning: {self.message}"


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


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a person who wrote `word` most likely meant, or None where none is near."""
    words: Sequence[str] = sorted(known)
    meant = _OTHER_WORDS.get(word.lower())
    if meant in words:
        return meant
    close = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return close[0] if close else None


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a person who wrote `word`: the nearest known word, or all of them."""
    words = sorted(known)
    meant = closest(word, words)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"known are {', '.join(words)}" if words else ""
