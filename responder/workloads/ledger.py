"""What is remembered of a workload's revisions: who served when, how healthily, which are known bad. Pure.

The ledger is the part of a WorkloadRecord that judging needs; the incidents layer stores it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from responder.workloads.history import History
from responder.workloads.owners import Owner, OwnerKind
from responder.workloads.revision import Revision

# A record holds well over a hundred references, and has to fit into etcd.
MAX_IMAGES = 8
MAX_IMAGE = 256
MAX_CHANGE_CAUSE = 256
# Pods that are all away for no longer than this are no end of a revision that nothing has replaced.
_BLIP = timedelta(minutes=1)


class Record(BaseModel):
    """Base of what is stored in a custom resource: frozen, camelCase outside, unknown fields left alone."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")


class RevisionRef(Record):
    """One revision, as a person and the API know it. `uid` is never used again.

    `replica_set` is the name of whatever keeps it, a ControllerRevision as well: records stored under that
    field's name are to be read for years.
    """

    uid: str
    replica_set: str
    hash: str
    revision: int | None = None
    images: tuple[str, ...] = ()
    change_cause: str | None = None


def parse_revision(revision: Revision) -> RevisionRef:
    """The reference to a revision; of very many or very long images, only so much is kept."""
    images = revision.images[:MAX_IMAGES]
    if more := len(revision.images) - len(images):
        images = (*images[:-1], f"and {more + 1} more")
    cause = revision.change_cause
    return RevisionRef(
        uid=revision.uid,
        replica_set=revision.name,
        hash=revision.hash,
        revision=revision.number,
        images=tuple(image[:MAX_IMAGE] for image in images),
        change_cause=None if cause is None else cause[:MAX_CHANGE_CAUSE],
    )


class Serving(Record):
    """One period in which a revision served.

    `seen` says that its beginning was watched. `first_serving_at` is None where the beginning was missed
    and can't be told: a revision that was used before has a creation time that says nothing. `noticed_at` is
    when the period came into the ledger, however long before it had begun.
    """

    revision: RevisionRef
    seen: bool
    first_serving_at: datetime | None = None
    noticed_at: datetime | None = None
    complete_at: datetime | None = None
    healthy_from: datetime | None = None
    healthy_until: datetime | None = None
    ended_at: datetime | None = None


class KnownBad(Record):
    """A revision that was rolled back. Remove the entry by hand to allow a return to it."""

    revision: RevisionRef
    incident: str
    at: datetime


class RollbackDone(Record):
    """An undo that was carried out."""

    incident: str
    from_uid: str
    to_uid: str
    at: datetime
    automatic: bool
    by: str


class PausedOwner(Record):
    """Whoever deploys the workload was paused around an undo; `mark` is this undo's on that object."""

    kind: OwnerKind
    namespace: str
    name: str
    mark: str
    bad_uid: str
    at: datetime

    @property
    def owner(self) -> Owner:
        """Who it is."""
        return Owner(self.kind, self.namespace, self.name, "the record")


class LeftAlone(Record):
    """A person said "leave it": until then, every rollback of that revision asks."""

    uid: str
    until: datetime
    by: str


class Ledger(Record):
    """All of it, oldest first. `watched_from` is when the present uninterrupted watch began."""

    watched_from: datetime | None = None
    servings: tuple[Serving, ...] = ()
    known_bad: tuple[KnownBad, ...] = ()
    rollbacks: tuple[RollbackDone, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    paused: tuple[PausedOwner, ...] = ()

    def latest_serving(self, uid: str) -> Serving | None:
        """The latest period in which that revision served."""
        return next((s for s in reversed(self.servings) if s.revision.uid == uid), None)

    def is_known_bad(self, revision: Revision) -> bool:
        """True for a revision that was rolled back, also when it was made anew since."""
        return any(
            bad.revision.uid == revision.uid or bad.revision.hash == revision.hash for bad in self.known_bad
        )

    def served_from(self, revision: Revision) -> datetime | None:
        """When this revision (last) began to serve, or None where nobody can tell.

        The ledger's word counts; without an entry, one that was never reused counts by its creation.
        """
        if self.latest_serving(revision.uid) is not None:
            return self.began(revision.uid)
        return None if revision.reused else revision.created_at

    def began(self, uid: str) -> datetime | None:
        """When that revision began to serve last, after another one had; None where it was not seen.

        Pods that come back after an outage or from a scale of zero are no rollout: nothing new began.
        """
        beginning = self._beginning(uid)
        return None if beginning is None else beginning.first_serving_at

    def saw_begin(self, uid: str) -> bool:
        """True when that beginning was watched: what else is known of it is when the revision was made."""
        beginning = self._beginning(uid)
        return beginning is not None and beginning.seen

    def began_before(self, uid: str, instant: datetime) -> datetime | None:
        """When that revision last began to serve before the instant; None where it was not seen."""
        beginning = self._beginning(uid, instant)
        return None if beginning is None else beginning.first_serving_at

    def _beginning(self, uid: str, before: datetime | None = None) -> Serving | None:
        mine = (n for n, s in enumerate(self.servings) if s.revision.uid == uid)
        latest = max((n for n in mine if before is None or self._is_before(n, before)), default=None)
        if latest is None:
            return None
        while (earlier := self._resumed(latest)) is not None:
            latest = earlier
        return self.servings[latest]

    def newcomer_since(self, instant: datetime) -> bool:
        """True when a revision that serves now was found to serve only after that instant.

        One whose pods are back from an outage is no newcomer.
        """
        serving = {each.revision.uid for each in self.servings if each.ended_at is None}
        beginnings = [each for uid in serving if (each := self._beginning(uid)) is not None]
        # An older version of this program wrote only the first of these instants.
        noticed = (each.noticed_at or each.first_serving_at for each in beginnings)
        return any(at is not None and at > instant for at in noticed)

    def _is_before(self, n: int, instant: datetime) -> bool:
        began = self.servings[n].first_serving_at
        return began is None or began < instant

    def _resumed(self, later: int) -> int | None:
        """The index of the period that this one goes on with; None where it began anew."""
        uid = self.servings[later].revision.uid
        earlier = next((n for n in range(later - 1, -1, -1) if self.servings[n].revision.uid == uid), None)
        if earlier is None or earlier == later - 1:
            return earlier
        ended, began = self.servings[earlier].ended_at, self.servings[later].first_serving_at
        if ended is None or began is None or began - ended > _BLIP:
            return None
        # Half way through a rollout both go and come back, one after the other; none had taken over.
        alike = all(self._same_blip(n, ended, began) for n in range(earlier + 1, later))
        return earlier if alike else None

    def _same_blip(self, n: int, gone_at: datetime, back_at: datetime) -> bool:
        """True for a period of another revision that ended in the same blip, or began again after it."""
        other = self.servings[n]
        if other.first_serving_at is None:
            return False
        if other.complete_at is not None and other.complete_at <= back_at:
            return False
        if other.first_serving_at >= gone_at:
            return self._resumed(n) is not None
        return other.ended_at is not None and other.ended_at <= back_at

    def never_served(self, revision: Revision) -> bool:
        """True when it was created under the present watch and no pod of it ever became ready."""
        return (
            self.latest_serving(revision.uid) is None
            and self.watched_from is not None
            # The API cuts times of creation to whole seconds.
            and revision.created_at >= self.watched_from.replace(microsecond=0)
        )


def serving_at(history: History, ledger: Ledger, instant: datetime) -> Revision | None:
    """The newest revision that had begun to serve by that instant and had not ended.

    None where there was none, or where it is gone since.
    """
    known = [
        (began, each)
        for each in history.revisions
        if not ledger.never_served(each)
        and (began := ledger.served_from(each)) is not None
        and began <= instant
        and not _ended_by(ledger, each, instant)
    ]
    began, newest = max(known, key=lambda pair: (pair[0], pair[1].created_at), default=(None, None))
    gone = (
        serving
        for serving in ledger.servings
        if history.by_uid(serving.revision.uid) is None
        and serving.first_serving_at is not None
        and (began is None or serving.first_serving_at > began)
        and serving.first_serving_at <= instant
        and (serving.ended_at is None or serving.ended_at > instant)
    )
    return None if next(gone, None) is not None else newest


def _ended_by(ledger: Ledger, revision: Revision, instant: datetime) -> bool:
    serving = ledger.latest_serving(revision.uid)
    return serving is not None and serving.ended_at is not None and serving.ended_at <= instant
