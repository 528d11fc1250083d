"""What a DaemonSet says of the rollout that an undo began. Pure; called by rollout.py.

Source: kubectl pkg/polymorphichelpers/rollout_status.go (DaemonSetStatusViewer), and stricter.
"""

from __future__ import annotations

from responder.verdicts import Verdict, failed, passed
from responder.workloads.workload import Workload

_COUNTS = ("currentNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable")
_NONE = ("numberUnavailable", "numberMisscheduled")


def check_daemon_complete(workload: Workload) -> Verdict:
    """Every node that is to run a pod runs an updated one that is available, and no other node runs any."""
    wanted = workload.replicas
    counts = {field: workload.count(field) for field in (*_COUNTS, *_NONE)}
    text = ", ".join(f"{field} {count}" for field, count in counts.items())
    complete = all(counts[field] == wanted for field in _COUNTS) and not any(counts[field] for field in _NONE)
    if not complete:
        message = f"The rollout is not complete: of {wanted} nodes that are to run a pod, {text}."
        return failed("RolloutComplete", "RolloutIncomplete", message, wanted=wanted, **counts)
    return passed(
        "RolloutComplete", "RolloutComplete", f"Of {wanted} nodes, {text}.", wanted=wanted, **counts
    )
