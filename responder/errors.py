"""The base of every error this program raises on purpose.

A message says what happened, to what, why, and what to do; it is shown to people as it stands.
"""

from __future__ import annotations


class ResponderError(Exception):
    """Something went wrong that a person may have to know of; str() is the sentence to show."""


class Permanent(ResponderError):
    """Trying again without a change elsewhere will fail again."""


class Temporary(ResponderError):
    """May succeed when tried again; `retry_after_seconds` is the other side's wish, if it had one."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
