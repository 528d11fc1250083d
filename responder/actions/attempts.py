"""Attempts at telling that failed: since when, how often, when the next one is due. Pure; used by notify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.actions.messages_blocks import cut
from responder.errors import Permanent, ResponderError, Temporary
from responder.incidents.notifications import Failing

FIRST_RETRY = timedelta(seconds=1)
LAST_RETRY = timedelta(minutes=5)
# The longest wish to wait that is granted; nobody asks for more who means well.
_LONGEST_WISH = timedelta(hours=1)
_ERROR_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt at a step: it failed, with that content, and the next one is due then.

    The digest is None where only the record knows of it: what the content was is not remembered.
    """

    digest: str | None
    count: int
    began_at: datetime
    due_at: datetime
    error: str
    passing: bool

    def holds(self, digest: str, now: datetime) -> bool:
        """True while the step has to wait. A refusal may be of the very content: other content need not."""
        same = self.passing or self.digest in (digest, None)
        return same and now < self.due_at

    @property
    def worth_recording(self) -> bool:
        """True at the 1st, 2nd, 4th, 8th ... failure: a long outage must not be a stream of writes."""
        return self.count & (self.count - 1) == 0

    def as_record(self) -> Failing:
        """What the incident says of it."""
        return Failing(
            began_at=self.began_at,
            attempts=self.count,
            error=cut(self.error, _ERROR_CHARACTERS),
            retry_at=self.due_at,
        )


def resume(failing: Failing) -> Failure:
    """The failure as the incident remembers it, after a restart or a take-over."""
    return Failure(None, failing.attempts, failing.began_at, failing.retry_at, failing.error, passing=True)


def fail(before: Failure | None, digest: str, error: ResponderError, now: datetime) -> Failure:
    """The failure after one more attempt."""
    count = 1 if before is None else before.count + 1
    began_at = now if before is None else before.began_at
    due_at = now + retry_delay(error, count)
    return Failure(digest, count, began_at, due_at, str(error), isinstance(error, Temporary))


def retry_delay(error: ResponderError, failures: int) -> timedelta:
    """How long to wait after so many failures in a row (at least one): doubling from 1 s up to 5 min.

    The other side's wish to wait is kept to, up to an hour. What is refused for good is tried again as well,
    at the longest delay: somebody may put it right.
    """
    if isinstance(error, Permanent):
        return LAST_RETRY
    doubled: timedelta = FIRST_RETRY * 2 ** min(failures - 1, 10)
    return max(min(LAST_RETRY, doubled), wish(error))


def wish(error: ResponderError) -> timedelta:
    """How long the other side asks to be left alone, at most an hour; zero where it asks nothing."""
    seconds = error.retry_after_seconds if isinstance(error, Temporary) else None
    return min(_LONGEST_WISH, timedelta(seconds=seconds or 0))
