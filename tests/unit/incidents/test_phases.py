"""The moves between phases: only these, each with a way to the end."""

from __future__ import annotations

import pytest

from responder.incidents.phases import TRANSITIONS, IllegalTransition, Phase, check_transition

OPEN, ASKED, ROLLING, VERIFYING, SETTLING, CLOSED = (
    Phase.OPEN,
    Phase.AWAITING_DECISION,
    Phase.ROLLING_BACK,
    Phase.VERIFYING,
    Phase.SETTLING,
    Phase.CLOSED,
)
ALLOWED = {
    (OPEN, ASKED),
    (OPEN, ROLLING),
    (OPEN, CLOSED),
    (ASKED, OPEN),
    (ASKED, ROLLING),
    (ASKED, CLOSED),
    (ROLLING, OPEN),
    (ROLLING, VERIFYING),
    (ROLLING, CLOSED),
    (VERIFYING, SETTLING),
    (SETTLING, CLOSED),
}


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("after", Phase)
def test_move(before: Phase, after: Phase) -> None:
    if before == after or (before, after) in ALLOWED:
        check_transition(before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"{before} can't move to {after}"):
            check_transition(before, after)


def test_every_phase_leads_to_the_end_which_leads_nowhere() -> None:
    for phase in Phase:
        reached, todo = {phase}, [phase]
        while todo:
            for after in TRANSITIONS[todo.pop()] - reached:
                reached.add(after)
                todo.append(after)
        assert CLOSED in reached
    assert TRANSITIONS[CLOSED] == frozenset()
