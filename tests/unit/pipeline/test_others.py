"""What other workloads want: by their open incidents, by alerts that pend, and for a while after both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from responder.incidents.model import AlertEntry, Incident, IncidentSpec, Metadata, WorkloadRef
from responder.pipeline.others import OtherWorkloads
from responder.rules.model import Action, Dependency, RuleFile, RuleSet
from responder.workloads.key import WorkloadKey
from tests.unit.rules.build import BRAKE, ERRORS, FILE, HOUR, MINUTE, NOW


def service(name: str, *, calls: str = "", action: Action = Action.ROLLBACK) -> RuleFile:
    """A rule file of one rule, that may call another service."""
    rule = replace(ERRORS, id=f"{name}/high-error-rate", service=name, action=action)
    dependency = Dependency(calls, ERRORS.condition, key(calls))
    return replace(
        FILE, service=name, workload=key(name), rules=(rule,), dependencies=(dependency,) if calls else ()
    )


def key(name: str) -> WorkloadKey:
    return WorkloadKey("shop", "Deployment", name)


def labels(name: str) -> dict[str, str]:
    return {"namespace": "shop", "deployment": name, "responder_rule": f"{name}/high-error-rate"}


def incident(name: str, received_at: datetime) -> Incident:
    return Incident(
        metadata=Metadata(
            name=f"deployment-{name}-1",
            namespace="shop",
            uid=f"uid-{name}",
            resource_version="1",
            creation_timestamp=received_at,
        ),
        spec=IncidentSpec(
            workload=WorkloadRef(kind="Deployment", name=name),
            sequence=1,
            received_at=received_at,
            alerts={"f": AlertEntry(labels=labels(name), starts_at=received_at)},
        ),
    )


RULES = RuleSet(
    (
        service("cart"),
        service("shop", calls="cart"),
        service("site", calls="shop"),
        service("mail", action=Action.ASK),
    )
)
CART = incident("cart", NOW - MINUTE)


def wanting(others: OtherWorkloads, pending: Iterable[str] = (), now: datetime = NOW) -> dict[str, datetime]:
    found = others.beside(CART, [labels(name) for name in pending], now)
    return {wish.workload.name: wish.at for wish in found.wishes}


def test_incidents_and_pending_alerts_that_want_a_rollback() -> None:
    opened = [CART, incident("shop", NOW - 2 * MINUTE), incident("mail", NOW), incident("unknown", NOW)]
    others = OtherWorkloads(lambda: opened, RULES, BRAKE)
    assert wanting(others, ["site", "mail", "unknown"]) == {
        "cart": NOW - MINUTE,
        "shop": NOW - 2 * MINUTE,
        "site": NOW,
    }
    # An incident that is known says since when, whatever else pends.
    assert wanting(others, ["shop"], NOW + MINUTE)["shop"] == NOW - 2 * MINUTE


def test_a_wish_is_remembered_beyond_its_incident_and_not_for_ever() -> None:
    opened = [incident("shop", NOW)]
    others = OtherWorkloads(lambda: opened, RULES, BRAKE)
    wanting(others, ["site"])
    opened.clear()
    later = wanting(others, now=NOW + 10 * MINUTE)
    assert (later["shop"], later["site"]) == (NOW, NOW)
    assert wanting(others, now=NOW + HOUR) == {}


def test_who_calls_whom_also_through_others() -> None:
    others = OtherWorkloads(lambda: [incident("site", NOW)], RULES, BRAKE)
    calls = {wish.workload.name: wish.calls for wish in others.beside(CART, [], NOW).wishes}
    assert calls == {"cart": frozenset(), "site": {key("shop"), key("cart")}}


def test_without_prometheus_pending_alerts_are_not_known() -> None:
    found = OtherWorkloads(list, RULES, BRAKE).beside(CART, None, NOW)
    assert (found.asked, found.received_at) == (False, NOW - MINUTE)
