"""It is this workload's trouble, not one that many have at once. Pure."""

from __future__ import annotations

from responder.rules.facts import Facts
from responder.rules.guards.wording import clock, rough
from responder.rules.model import Action
from responder.rules.quantities import format_duration
from responder.rules.storm import find_storm
from responder.verdicts import Verdict, failed, passed, unknown

# Not in doubt, only too early: `decide` holds for it without a word to PagerDuty.
WAITING = "WaitingForOthers"


def no_storm(facts: Facts) -> Verdict:
    """Few other workloads want a rollback at the same time, and none was about to join them."""
    check = "NoStorm"
    others = facts.others
    if others is None:
        return unknown(check, "OthersUnknown", "What other workloads want is not known.")
    brake = others.brake
    storm = find_storm(others.wishes, facts.file.workload, brake)
    if storm and facts.now - storm[-1].at < brake.within + brake.calm:
        raging = facts.now - storm[-1].at < brake.within
        # One that fires has mostly wished already while it was pending.
        keys = list(dict.fromkeys(wish.workload for wish in storm))
        evidence: dict[str, str | int] = {"workloads": len(keys), "last": storm[-1].at.isoformat()}
        text = f"{len(keys)} workloads want a rollback at once ({', '.join(map(str, keys[:10]))})"
        if raging:
            return failed(check, "Storm", f"{text}: rather something that they share.", **evidence)
        calm = f"it is calm for {format_duration(brake.calm)} after a storm"
        return failed(check, "StormCalm", f"{text}, at {clock(storm[-1].at)}: {calm}.", **evidence)
    left = others.received_at + brake.wait - facts.now
    if left.total_seconds() > 0 and facts.rule.action is Action.ROLLBACK:
        text = f"It waits another {rough(left)} for other workloads' alerts"
        return unknown(check, WAITING, f"{text}: many at once would be a storm.")
    if not others.asked:
        why = f"Prometheus tells no pending alerts. {facts.trouble}".strip()
        return unknown(check, "PrometheusUnavailable", why)
    count = len({wish.workload for wish in others.wishes} - {facts.file.workload})
    text = f"{count} other workloads have wanted a rollback lately"
    return passed(check, "NoStorm", f"{text}; {brake.workloads - 1} would be a storm.", others=count)
