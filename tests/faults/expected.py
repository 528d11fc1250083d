"""What each cell of the table comes to. Where nothing is said: rolled back, as without the fault."""

from __future__ import annotations

from tests.faults.cells import Cell, Moment

_ELSE = "RolledBack"
# Nobody may say that the undo is harmless when the API server refuses its dry run, or changes it.
_REFUSED = "asked DryRunRefused"
_CHANGED = "asked DryRunChangesTemplate"
# What was before the release, and so whether it made anything worse, is forgotten.
_FORGOTTEN = "asked NoDataBeforeRollout"
_NOT_TRUE = "asked ConditionFalse"
_UNKNOWN = "RecoveryUnknown RecoveryUnknown"
_OUTCOMES: dict[Cell, str] = {
    Cell("admission denies the undo", Moment.ON_ITS_WAY): _REFUSED,
    Cell("admission denies the undo", Moment.DECIDING): _REFUSED,
    Cell("admission denies the undo", Moment.UNDOING): "RollbackFailed Forbidden",
    Cell("admission adds a sidecar", Moment.ON_ITS_WAY): _CHANGED,
    Cell("admission adds a sidecar", Moment.DECIDING): _CHANGED,
    # What serves afterwards is a third revision, v1 with a sidecar, that no person made: no proof covers it.
    Cell("admission adds a sidecar", Moment.UNDOING): "TrafficNotProven TrafficNotProven",
    Cell("Prometheus restarts empty", Moment.BEFORE): _FORGOTTEN,
    Cell("Prometheus restarts empty", Moment.ON_ITS_WAY): _FORGOTTEN,
    Cell("Prometheus restarts empty", Moment.DECIDING): _FORGOTTEN,
    # It measures at instants that its own clock tells: two minutes ago nothing was wrong yet.
    Cell("own clock 2 min behind", Moment.BEFORE): _NOT_TRUE,
    Cell("own clock 2 min behind", Moment.ON_ITS_WAY): _NOT_TRUE,
    Cell("own clock 2 min behind", Moment.DECIDING): _NOT_TRUE,
    # By its own clock the release came two minutes after what Prometheus says of the trouble.
    Cell("own clock 2 min ahead", Moment.BEFORE): "asked OnsetBeforeRollout",
    Cell("own clock 2 min ahead", Moment.PROVING_RECOVERY): _UNKNOWN,
    # A metric that nobody can measure is no good one, although the alert resolves meanwhile.
    Cell("Prometheus gone 10 min", Moment.UNDOING): _UNKNOWN,
    Cell("Prometheus gone 10 min", Moment.PROVING_TRAFFIC): _UNKNOWN,
    Cell("Prometheus gone 10 min", Moment.PROVING_RECOVERY): _UNKNOWN,
}

# One of each kind, at the moment at which it can do the most harm.
MATTER_MOST = (
    Cell("API: 409 to writes", Moment.UNDOING),
    Cell("API: drops answers", Moment.ON_ITS_WAY),
    Cell("watches hang", Moment.BEFORE),
    Cell("Prometheus gone", Moment.DECIDING),
    Cell("Alertmanager restarts empty", Moment.ON_ITS_WAY),
    Cell("own clock 2 min behind", Moment.UNDOING),
)


def expected(cell: Cell) -> str:
    """The outcome of the cell, in the words of cells.py."""
    return _OUTCOMES.get(cell, _ELSE)
