"""Silences: matchers with a time, kept in memory."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel

from responder.sandbox.prometheus.formatting import rfc3339
from responder.sandbox.prometheus.labels import Labels, Matcher, MatchOp, match_all

MAX_SILENCES = 1_000


class SilenceError(ValueError):
    """A silence that can't be kept; str() is why."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Mutes the alerts that satisfy every matcher, from start to end."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    updated_at: datetime

    def state(self, now: datetime) -> str:
        """`pending`, `active` or `expired`."""
        return "expired" if now >= self.ends_at else "active" if now >= self.starts_at else "pending"


class _PostedMatcher(BaseModel):
    name: str
    value: str
    isRegex: bool = False  # noqa: N815 - the wire's names
    isEqual: bool = True  # noqa: N815


class _PostedSilence(BaseModel):
    matchers: list[_PostedMatcher]
    startsAt: AwareDatetime  # noqa: N815
    endsAt: AwareDatetime  # noqa: N815
    createdBy: str  # noqa: N815
    comment: str


_OPS = {
    (True, False): MatchOp.EQUAL,
    (False, False): MatchOp.NOT_EQUAL,
    (True, True): MatchOp.REGEX,
    (False, True): MatchOp.NOT_REGEX,
}


class Silences:
    """All silences of one Alertmanager."""

    def __init__(self, seed: int = 0) -> None:
        self._draw = random.Random(f"silences/{seed}")
        self._silences: dict[str, Silence] = {}

    def add(self, body: bytes, now: datetime) -> Silence:
        """Keep the silence of a POST /api/v2/silences. Raises ValueError."""
        posted = _PostedSilence.model_validate_json(body)
        if posted.endsAt <= max(posted.startsAt, now):
            raise SilenceError("invalid silence: end time must not be in the past or before its start")
        if not any(matcher.value for matcher in posted.matchers):
            raise SilenceError("invalid silence: at least one matcher must not match the empty string")
        if len(self._silences) >= MAX_SILENCES:
            raise SilenceError(f"the limit of {MAX_SILENCES} silences is reached")
        silence = Silence(
            id=str(uuid.UUID(int=self._draw.getrandbits(128), version=4)),
            matchers=tuple(Matcher(m.name, _OPS[m.isEqual, m.isRegex], m.value) for m in posted.matchers),
            starts_at=max(posted.startsAt, now),
            ends_at=posted.endsAt,
            created_by=posted.createdBy,
            comment=posted.comment,
            updated_at=now,
        )
        self._silences[silence.id] = silence
        return silence

    def expire(self, silence_id: str, now: datetime) -> bool:
        """End a silence now; False when it is unknown or already over."""
        silence = self._silences.get(silence_id)
        if silence is None or silence.state(now) == "expired":
            return False
        starts_at = min(silence.starts_at, now)
        self._silences[silence_id] = replace(silence, starts_at=starts_at, ends_at=now, updated_at=now)
        return True

    def muting(self, labels: Labels, now: datetime) -> list[str]:
        """The ids of the active silences that mute an alert."""
        active = [one for one in self._silences.values() if one.state(now) == "active"]
        return sorted(one.id for one in active if match_all(one.matchers, labels))

    def clear(self) -> None:
        """Forget all."""
        self._silences.clear()

    def answer(self, now: datetime) -> list[dict[str, Any]]:
        """The body of GET /api/v2/silences."""
        return [_answer(silence, now) for silence in self._silences.values()]


def _answer(silence: Silence, now: datetime) -> dict[str, Any]:
    matchers = [
        {
            "isEqual": matcher.op in (MatchOp.EQUAL, MatchOp.REGEX),
            "isRegex": matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX),
            "name": matcher.name,
            "value": matcher.value,
        }
        for matcher in silence.matchers
    ]
    return {
        "id": silence.id,
        "status": {"state": silence.state(now)},
        "updatedAt": rfc3339(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": rfc3339(silence.ends_at),
        "matchers": matchers,
        "startsAt": rfc3339(silence.starts_at),
    }
