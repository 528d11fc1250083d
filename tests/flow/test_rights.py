"""The rights fit what the responder does: deploy/ grants every call it makes, and nothing for no call."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from responder.sandbox.api.target import parse_target
from responder.sandbox.world import RESPONDER_ACCOUNT
from tests.flow.harness import QUICK, ROLL_BACK, SHORT, Stage, stage
from tests.shared import run_story
from tests.unit.deploy.rendering import OVERLAY, Grant, find, grants, render

# Granted without a call in these stories, and why.
UNUSED: dict[Grant, str] = {
    ("delete", "responder.dev", "incidents"): "closed incidents are kept for weeks, and then no longer",
    ("delete", "responder.dev", "decisions"): "answers go with the incident that asked",
    ("get", "", "configmaps"): "the templates of these stories refer to none",
    ("get", "", "persistentvolumeclaims"): "likewise",
    ("get", "", "serviceaccounts"): "likewise",
    **{
        (verb, "apps", kind): "the same of the other kinds, in test_other_kinds.py"
        for kind in ("statefulsets", "daemonsets")
        for verb in ("get", "list", "watch", "patch")
    },
    **{(verb, "apps", "controllerrevisions"): "likewise" for verb in ("list", "watch")},
}


def granted() -> set[Grant]:
    """All that the roles allow which the overlay binds to the responder's service account."""
    bound = [obj["roleRef"] for obj in render(OVERLAY) if obj["kind"].endswith("Binding")]
    return set().union(*(grants(find(reference["kind"], reference["name"])) for reference in bound))


def called(here: Stage) -> set[Grant]:
    """Every verb on every resource that the API server was asked for in the responder's name."""
    found = set()
    for record in here.world.cluster.log:
        if record.user == RESPONDER_ACCOUNT.name:
            assert record.status != 403, f"{record.method} {record.path}"
            target = parse_target(record.method, record.path, record.query)
            assert target is not None, record.path
            wanted = target.attributes()
            found.add((wanted.verb, wanted.group, wanted.full_resource))
    return found


async def asked_and_decided(here: Stage) -> None:
    """A person is asked, the responder starts anew, the person lets it roll back, and it closes."""
    here.world.release("v2", latency_p95="9s")
    await here.reason("RuleAsks", timedelta(minutes=5))
    await here.rest(timedelta(seconds=5))
    await here.stop()
    await here.start()
    assert (await here.click(ROLL_BACK)).taken
    await here.phase("Closed", timedelta(minutes=30))
    assert here.status()["outcome"] == "RolledBack"


async def rolled_back(here: Stage) -> None:
    """It rolls back by itself, and closes."""
    here.world.release("v2", error_rate=0.3)
    await here.phase("Closed", timedelta(minutes=30))
    assert here.status()["outcome"] == "RolledBack"


def test_every_call_is_granted_and_nothing_is_granted_for_no_call(tmp_path: Path) -> None:
    used: set[Grant] = set()

    async def play() -> None:
        for story in (asked_and_decided, rolled_back):
            async with stage(tmp_path / story.__name__, SHORT, **QUICK) as here:
                await here.rest(timedelta(minutes=4))
                await story(here)
            used.update(called(here))

    run_story(play())
    # A right that is used needs no reason, and one that is not given none either.
    assert used | UNUSED.keys() == granted()
    assert not used & UNUSED.keys()
