"""Each guard of the checklist, and the situation that is rolled back without it; and the verifier's defects.

A guard that is left out of the checklist has to turn its situation red: because of a wrong rollback where no
other guard has a doubt, else because the reason is not the right one.
"""

from __future__ import annotations

from responder.rules.guards.checklist import GUARDS
from tests.planted.defects import DEFECTS, Defect

SITUATIONS = "tests/flow/test_no_wrong_rollback.py"
RANDOM = "tests/flow/test_no_false_proof.py::test_what_is_proven_is_true"
RECOVERY = "tests/flow/test_no_false_proof.py::test_no_data_is_no_recovery"

# By the reason of the situation.
_RED = {
    "workload_exists": "TemplateNotObserved",
    "target_exists": "HistoryUncertain",
    "not_paused": "UpdatesOnDelete",
    "not_protected": "Protected",
    "still_true": "NoAlertFires",
    "inside_window": "OutsideRollbackWindow",
    "caused_by_rollout": "OnsetTooLate",
    "new_pods_worse": "NotOnlyTheNewPods",
    "not_one_node": "OneNodeOnly",
    "dependencies_good": "DependencyBad",
    "target_was_good": "TargetWasBad",
    "not_again": "CooldownActive",
    "not_frozen": "Frozen",
    "reversible": "Irreversible",
    "configuration_exists": "ConfigurationMissing",
    "dry_run_admitted": "DryRunUntold",
    "owner_allows": "OwnerAsks",
    "no_storm": "Storm",
}
# Those that hold while the ledger lags behind, by their checks.
_BY_LEDGER = {
    "target_exists": "TargetExists",
    "inside_window": "InsideRollbackWindow",
    "caused_by_rollout": "CausedByRollout",
    "target_was_good": "TargetWasGood",
}


def _line(name: str) -> str:
    """The guard's line in the checklist."""
    return f'    _by_ledger("{_BY_LEDGER[name]}", {name}),\n' if name in _BY_LEDGER else f"    {name},\n"


GUARD_DEFECTS = tuple(
    Defect(
        f"without the guard {guard.__name__}",
        "rules/guards/checklist.py",
        _line(guard.__name__),
        "",
        (f"{SITUATIONS}::test_it_is_not_rolled_back[{_RED[guard.__name__]}]",),
    )
    for guard in GUARDS
)

# The verifier's own defects, and the property that finds each as well as its table test does.
_VERIFIER = {
    "counts pods by label instead of owner UID": RANDOM,
    "ignores a second EndpointSlice": RANDOM,
    "ignores a serving terminating endpoint": RANDOM,
    "ignores a terminating pod": RANDOM,
    "accepts zero endpoints": RANDOM,
    "accepts zero replicas": RANDOM,
    "takes observedGeneration alone as complete": RANDOM,
    "treats no data as recovered": RECOVERY,
}
VERIFIER_DEFECTS = tuple(
    Defect(each.name, each.file, each.before, each.after, (_VERIFIER[each.name],), each.also)
    for each in DEFECTS
    if each.name in _VERIFIER
)
