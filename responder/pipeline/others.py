"""What workloads beside the one that is judged want: their open incidents, their alerts. Decides nothing.

Called by gather.py. Remembers wishes beyond their incidents' end, as a storm that is over still counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from responder.incidents.model import AlertEntry, Incident
from responder.rules.facts import Others
from responder.rules.model import Action, RuleSet
from responder.rules.storm import StormBrake, Wish
from responder.settings import Settings
from responder.workloads.key import WorkloadKey

Labels = Mapping[str, str]
Alerts = Mapping[str, AlertEntry]


def brake_of(settings: Settings) -> StormBrake:
    """The brake on storms as an operator set it."""
    return StormBrake(
        workloads=settings.storm_workloads,
        within=settings.storm_within,
        wait=settings.storm_wait,
        calm=settings.storm_calm,
    )


class OtherWorkloads:
    """The wishes of all workloads; `incidents` are the open ones as they are known now."""

    def __init__(
        self, incidents: Callable[[], Iterable[Incident]], rules: RuleSet, brake: StormBrake
    ) -> None:
        self._incidents = incidents
        self._rules = rules
        self._brake = brake
        # Of each incident, the alerts that were looked through last: in a storm there are many of them, and
        # each is looked at for every other.
        self._looked: dict[str, Alerts] = {}
        # By workload, and by when its incident began; None while it only pends.
        self._seen: dict[tuple[WorkloadKey, datetime | None], Wish] = {}

    def beside(self, incident: Incident, pending: Iterable[Labels] | None, now: datetime) -> Others:
        """What is wanted beside this incident. `pending` are the labels of alerts that are about to fire.

        None where Prometheus did not tell.
        """
        incidents = (incident, *self._incidents())
        for each in incidents:
            if self._looked.get(each.metadata.uid) is not each.spec.alerts:
                self._look(each)
        self._forget(incidents)
        wanting = {key for key in map(self._wanting, pending or ()) if key is not None}
        if wanting:
            # They want it as long as they pend.
            for key in wanting.difference(each.key for each in incidents):
                self._note(key, None, now)
        oldest = now - self._brake.within * 2 - self._brake.calm
        self._seen = {name: wish for name, wish in self._seen.items() if wish.at > oldest}
        return Others(
            brake=self._brake,
            received_at=incident.spec.received_at,
            wishes=tuple(self._seen.values()),
            asked=pending is not None,
        )

    def _look(self, incident: Incident) -> None:
        alerts = incident.spec.alerts
        self._looked[incident.metadata.uid] = alerts
        if any(self._wanting(alert.labels) is not None for alert in alerts.values()):
            self._note(incident.key, incident.spec.received_at, incident.spec.received_at)

    def _note(self, key: WorkloadKey, received_at: datetime | None, at: datetime) -> None:
        self._seen[(key, received_at)] = Wish(key, at, self._calls(key))

    def _forget(self, incidents: tuple[Incident, ...]) -> None:
        """Keep nothing of what is not open any more, without going through all of it each time."""
        if len(self._looked) > 2 * len(incidents):
            self._looked = {each.metadata.uid: each.spec.alerts for each in incidents}

    def _wanting(self, labels: Labels) -> WorkloadKey | None:
        """The workload that an alert with these labels would have rolled back."""
        rules = self._rules.match(labels)
        rule = next((rule for rule in rules if rule.action is Action.ROLLBACK), None)
        return None if rule is None else self._rules.file_of(rule).workload

    def _calls(self, key: WorkloadKey) -> frozenset[WorkloadKey]:
        """Every workload that this one's rule file says it calls, and that those call in turn."""
        found: set[WorkloadKey] = set()
        due = [key]
        while due:
            file = self._rules.file_for(due.pop())
            for dependency in () if file is None else file.dependencies:
                if dependency.workload is not None and dependency.workload not in found:
                    found.add(dependency.workload)
                    due.append(dependency.workload)
        return frozenset(found)
