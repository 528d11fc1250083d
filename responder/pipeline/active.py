"""Asking Alertmanager whether an incident's alerts are active at this moment. Decides nothing.

A silence is a person's word, and no webhook brings it. Called by gather.py, beside its other reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set

import structlog

from responder.clients.alertmanager import Alertmanager
from responder.errors import ResponderError
from responder.incidents.model import Incident
from responder.tasks import together

log = structlog.get_logger(__name__)

# An undo waits at most so long for an Alertmanager that is away.
_ANSWER_SECONDS = 5


class ActiveAlerts:
    """What every Alertmanager says of an incident's alerts."""

    def __init__(self, alertmanagers: tuple[Alertmanager, ...], receiver: str) -> None:
        self._alertmanagers = alertmanagers
        self._receiver = receiver

    async def none_of(self, incident: Incident) -> bool:
        """True when every Alertmanager says that no alert of the incident fires unsilenced and uninhibited.

        Asked only before anything is done without a person; an Alertmanager without an answer says nothing.
        """
        firing = incident.firing.keys()
        if not (incident.phase.undecided and firing and self._alertmanagers):
            return False
        answers = []
        async with together() as group:
            asked = [group.create_task(self._has_any(each, firing)) for each in self._alertmanagers]
            for answer in asyncio.as_completed(asked):
                answers.append(await answer)
                if answers[-1]:
                    break
            # One that has it is enough: the slow ones are not waited for.
            for task in asked:
                task.cancel()
        return all(answer is False for answer in answers)

    async def _has_any(self, alertmanager: Alertmanager, firing: Set[str]) -> bool | None:
        """Whether this one has any of the alerts; None when it does not say."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                listed = await alertmanager.list_alerts(self._receiver)
        except (ResponderError, TimeoutError) as error:
            why = str(error) or f"no answer within {_ANSWER_SECONDS} s"
            log.warning("alertmanager_not_asked", alertmanager=alertmanager.name, error=why)
            return None
        return any(alert.fingerprint in firing for alert in listed)
