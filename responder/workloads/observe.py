"""Keeping the ledger: what a look at the revisions adds to it. Pure; pipeline watches and stores.

A revision serves while a pod of it is ready.
"""

from __future__ import annotations

from datetime import datetime

from responder.workloads.history import History
from responder.workloads.ledger import Ledger, Serving, parse_revision
from responder.workloads.revision import Revision

MAX_SERVINGS = 40


def observe(ledger: Ledger, history: History, now: datetime, *, continuous: bool) -> tuple[Serving, ...]:
    """The servings as they are after this look.

    `continuous` says that no change can have been missed since the last look: only then is a beginning seen.
    """
    known = {each.uid: each for each in history.revisions}
    servings = [_continued(serving, known.get(serving.revision.uid), now) for serving in ledger.servings]
    running = {serving.revision.uid for serving in servings if serving.ended_at is None}
    for each in history.revisions:
        if each.ready_pods > 0 and each.uid not in running:
            servings.append(_begun(each, now, continuous=continuous))
    return tuple(_completed(serving, history, now) for serving in _bounded(servings))


def _bounded(servings: list[Serving]) -> list[Serving]:
    """At most so many: of pods that come and go, the first and the last; only then the oldest go."""
    kept = list(servings)
    while len(kept) > MAX_SERVINGS:
        uids = [serving.revision.uid for serving in kept]
        again = (n for n in range(1, len(kept) - 1) if uids[n - 1] == uids[n] == uids[n + 1])
        del kept[next(again, 0)]
    return kept


def _continued(serving: Serving, revision: Revision | None, now: datetime) -> Serving:
    ended = revision is None or revision.ready_pods == 0
    return serving.model_copy(update={"ended_at": now}) if ended and serving.ended_at is None else serving


def _begun(revision: Revision, now: datetime, *, continuous: bool) -> Serving:
    began = now if continuous else None if revision.reused else revision.created_at
    return Serving(revision=parse_revision(revision), seen=continuous, first_serving_at=began, noticed_at=now)


def _completed(serving: Serving, history: History, now: datetime) -> Serving:
    current = history.current
    if serving.complete_at is not None or serving.ended_at is not None or current is None:
        return serving
    if serving.revision.uid != current.uid or not history.workload.complete:
        return serving
    return serving.model_copy(update={"complete_at": now})
