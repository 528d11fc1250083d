"""What was asked of the API server, and by whom: the judge's own record, independent of what clients say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request; status is what its client saw, 0 where no answer was sent; body is JSON or text.

    effect is the code with which it was carried out, whatever became of the answer: 0 where it was refused
    or nobody got round to it.
    """

    at: datetime
    user: str
    user_agent: str
    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    body: Any
    status: int
    effect: int
    dry_run: bool


class RequestLog:
    """The latest requests in the order in which they were answered; a watch is there once it has begun.

    One that is carried out late, for nobody, is there once that has happened.
    """

    def __init__(self, limit: int = 50_000) -> None:
        """limit bounds how many are kept."""
        self._records: deque[RequestRecord] = deque(maxlen=limit)

    def append(self, record: RequestRecord) -> None:
        """Add one request."""
        self._records.append(record)

    def clear(self) -> None:
        """Forget everything so far."""
        self._records.clear()

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(tuple(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def writes(self, path: str = "") -> list[RequestRecord]:
        """Return the writes (no dry runs, no access reviews) that took effect and have path in their path.

        Also those whose client was told of a failure, or nothing.
        """
        return [
            record
            for record in self._records
            if record.method in ("POST", "PUT", "PATCH", "DELETE")
            and 200 <= record.effect < 300
            and not record.dry_run
            and "/authorization.k8s.io/" not in record.path
            and path in record.path
        ]
