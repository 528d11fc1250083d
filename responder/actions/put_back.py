"""Was an attempt that nobody recorded applied, and undone by somebody before anybody looked? Pure.

`kubectl replace` of an older manifest takes the fence away with the good template: the workload then looks as
if the undo had never been sent, and sending it would undo it a second time. Called by pipeline before an
attempt is tried again.
"""

from __future__ import annotations

from datetime import timedelta

from responder.actions.rollback import Attempt, Refused
from responder.workloads.history import History
from responder.workloads.owners import REVERTED_BY_ANOTHER, Writer, last_writer
from responder.workloads.revision import Revision
from responder.workloads.templates import same_template
from responder.workloads.views import parse_time

# So far the API server's clock may lie behind ours.
_CLOCKS_APART = timedelta(minutes=1)
# An undo and the undoing of it. One alone is somebody's scaling: an applied undo would show its own template.
_CHANGES = 2


def find_put_back(history: History | None, attempt: Attempt) -> Refused | None:
    """Why the attempt is not to be tried again; None where nothing says that it was undone.

    Told from the generation, which each change of the spec raises, together with the number of the bad
    revision, which rises when it is rolled out anew, or with who wrote the template last.
    """
    bad = None if history is None else history.by_uid(attempt.bad_uid)
    if history is None or bad is None or attempt.generation is None:
        return None
    workload = history.workload
    if workload.uid != attempt.workload_uid or workload.fence == attempt.fence.after:
        return None
    if (
        not same_template(workload.template, bad.template)
        or workload.generation < attempt.generation + _CHANGES
    ):
        return None
    writer = last_writer(workload.raw)
    if not _rolled_out_anew(bad, attempt) and not _written_since(writer, attempt):
        return None
    who = "somebody unknown" if writer is None else writer.manager
    return Refused(
        REVERTED_BY_ANOTHER,
        f"Reverted or changed by {who}: since the undo of {workload} was intended its spec changed"
        f" {workload.generation - attempt.generation} times, and it has the bad template again. It may have"
        " been undone already, which is not fought.",
    )


def _rolled_out_anew(bad: Revision, attempt: Attempt) -> bool:
    return bad.number is not None and attempt.bad_number is not None and bad.number > attempt.bad_number


def _written_since(writer: Writer | None, attempt: Attempt) -> bool:
    """True where nobody can tell, too."""
    return writer is None or not writer.at or parse_time(writer.at) >= attempt.intended_at - _CLOCKS_APART
