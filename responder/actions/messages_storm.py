"""The one Slack message that stands for many incidents at once. Pure; used by storms."""

from __future__ import annotations

from collections.abc import Sequence

from responder.actions.messages import SlackMessage, awaits_answer, headline
from responder.actions.messages_blocks import code, context, escape, header, section
from responder.incidents.model import Incident


def render_storm(incidents: Sequence[Incident]) -> SlackMessage:
    """What came, oldest first, and how many of them want a person; those that don't fit are counted."""
    asked = sum(awaits_answer(each) for each in incidents)
    paged = sum(each.status.page is not None for each in incidents)
    top = f"{len(incidents)} incidents at once: {asked} await an answer, {paged} paged"
    lines = [
        f"• {code(f'{each.metadata.namespace}/{each.name}')} {escape(headline(each), 200)}"
        for each in incidents
    ]
    later = "Each gets its own message, with its buttons, as soon as fewer come."
    how = "`kubectl get incidents -A`, `kubectl -n NAMESPACE describe incident NAME`"
    return SlackMessage(top, (header(f":warning: {top}"), section("Incidents", lines), context([later, how])))
