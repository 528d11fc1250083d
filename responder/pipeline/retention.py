"""Deleting what is finished and old: closed incidents, and the answers to questions that nobody can look up.

Records of workloads are never deleted, and with them what is held. Run by whoever leads; closes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, timedelta

import structlog

from responder.clients.kubernetes import Conflict, NotFound
from responder.clock import Clock
from responder.errors import ResponderError
from responder.incidents.store import IncidentStore

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 3600.0
# Whoever begins to lead has more urgent things to ask the API server.
_FIRST_AFTER_SECONDS = 60.0
# A round deletes no more incidents than this, and so slowly: the API server is for others, too.
_MOST_A_ROUND = 500
_BETWEEN_SECONDS = 0.05
# Read and deleted in portions, so that a long neglected cluster does not have to fit into memory.
_PORTION = 100


class Retention:
    """Deletes incidents that closed longer ago than `keep`, counted in whole days of UTC."""

    def __init__(self, store: IncidentStore, clock: Clock, keep: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep

    async def run(self) -> None:
        """Look once an hour, until cancelled; for the first time when others had a while to begin."""
        await self._clock.sleep(_FIRST_AFTER_SECONDS)
        while True:
            try:
                await self.sweep()
            except ResponderError as error:
                log.warning("retention_failed", error=str(error))
            await self._clock.sleep(_EVERY_SECONDS)

    async def sweep(self) -> None:
        """Delete what is due, a bounded number. Raises ResponderError when the API server can't be asked."""
        incidents = await self._sweep_incidents()
        answers = await self._sweep_answers()
        if incidents or answers:
            log.info("retention_deleted", incidents=incidents, decisions=answers)

    async def _sweep_incidents(self) -> int:
        today = self._clock.now().astimezone(UTC).date()
        deleted = 0
        for _ in range(_MOST_A_ROUND // _PORTION):
            due = await self._store.list_closed_before(today - self._keep, today, _PORTION)
            for incident in due:
                deleted += await _gone(self._store.delete_incident(incident))
                await self._clock.sleep(_BETWEEN_SECONDS)
            if len(due) < _PORTION:
                break
        return deleted

    async def _sweep_answers(self) -> int:
        """An answer is given before its incident closes, so what is younger than `keep` is never due."""
        now, deleted = self._clock.now(), 0
        async for answers in self._store.list_answers(_PORTION):
            for answer in answers:
                if now - answer.created_at <= self._keep:
                    continue
                if not await self._store.has_incident(answer):
                    deleted += await _gone(self._store.delete_answer(answer))
                await self._clock.sleep(_BETWEEN_SECONDS)
        return deleted


async def _gone(deleting: Awaitable[None]) -> bool:
    """True when it was deleted now; False when it had gone, or another one has its name by now."""
    try:
        await deleting
    except (Conflict, NotFound):
        return False
    except ResponderError as error:
        # One namespace that forbids it must not keep the others from being swept.
        log.warning("not_deleted", error=str(error))
        return False
    return True
