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
from responder.workloads.key import WorkloadKey

Labels = Mapping[str, str]
Alerts = Mapping[str, AlertEntry]


class OtherWorkloads:
    """The wishes of all workloads; `incidents` are the open ones as they are known now."""

    def __init__(
        self, incidents: Callable[[], Iterable[Incident]], rules: RuleSet, brake: StormBrake
    ) -> None:
        self._incidents = incidents
        self._rules = rules
        self._brake = brake
        # Of each open incident, the alerts that were looked through last, and whether one wants it: they are
        # many in a storm, and each of them is looked through for every other.
        self._known: dict[str, tuple[Alerts, bool]] = {}
        # By workload, and by when its incident began; None while it only pends.
        self._seen: dict[tuple[WorkloadKey, datetime | None], Wish] = {}

    def beside(self, incident: Incident, pending: Iterable[Labels] | None, now: datetime) -> Others:
        """What is wanted beside this incident. `pending` are the labels of alerts that are about to fire.

        None where Prometheus did not tell.
        """
        incidents = (incident, *self._incidents())
        for each in incidents:
            if self._wants(each):
                self._note(each.key, each.spec.received_at, each.spec.received_at)
        self._forget(incidents)
        open_keys = {each.key for each in incidents} if pending else frozenset[WorkloadKey]()
        for key in map(self._wanting, pending or ()):
            if key is not None and key not in open_keys:
                # It wants it as long as it pends.
                self._note(key, None, now)
        oldest = now - self._brake.within * 2 - self._brake.calm
        self._seen = {name: wish for name, wish in self._seen.items() if wish.at > oldest}
        return Others(
            brake=self._brake,
            received_at=incident.spec.received_at,
            wishes=tuple(self._seen.values()),
            asked=pending is not None,
        )

    def _note(self, key: WorkloadKey, received_at: datetime | None, at: datetime) -> None:
        known = self._seen.get((key, received_at))
        if known is None or known.at != at:
            self._seen[(key, received_at)] = Wish(key, at, self._calls(key))

    def _wants(self, incident: Incident) -> bool:
        alerts = incident.spec.alerts
        known = self._known.get(incident.metadata.uid)
        if known is not None and known[0] is alerts:
            return known[1]
        wants = any(self._wanting(alert.labels) is not None for alert in alerts.values())
        self._known[incident.metadata.uid] = alerts, wants
        return wants

    def _forget(self, incidents: tuple[Incident, ...]) -> None:
        """Keep nothing of what is not open any more, without looking each time."""
        if len(self._known) > 2 * len(incidents):
            uids = {each.metadata.uid for each in incidents}
            self._known = {uid: known for uid, known in self._known.items() if uid in uids}

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
