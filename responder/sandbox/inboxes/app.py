"""Both inboxes behind one address: Slack under /api/, PagerDuty under /v2/, a page to look at under /.

The page's buttons click as a person would in Slack.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from responder.sandbox.gate import Gate, gate_middleware
from responder.sandbox.inboxes.page import render_page
from responder.sandbox.inboxes.pagerduty import PagerDutyInbox
from responder.sandbox.inboxes.slack import SlackInbox
from responder.sandbox.inboxes.slack_api import slack_routes
from responder.sandbox.inboxes.slack_clicks import SlackHands, SlackUser

VISITOR = SlackUser("U0VISITOR", "visitor")


@dataclass(slots=True)
class Inboxes:
    """The two inboxes, and the hands that click; hands are None until the app's address is known.

    Every request passes through the gate, if there is one.
    """

    slack: SlackInbox
    pagerduty: PagerDutyInbox
    hands: SlackHands | None = None
    gate: Gate | None = None


def inboxes_app(inboxes: Inboxes) -> web.Application:
    """The application to serve; set `inboxes.slack.public_url` once its address is known."""

    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=render_page(inboxes.slack, inboxes.pagerduty), content_type="text/html")

    async def click(request: web.Request) -> web.Response:
        form = await request.post()
        message = next((each for each in inboxes.slack.messages if each.ts == form.get("ts")), None)
        if message is None or inboxes.hands is None:
            raise web.HTTPNotFound(text="There is no such message, or nobody to click.")
        try:
            result = await inboxes.hands.click(message, str(form.get("action_id")), VISITOR)
        except LookupError as error:
            raise web.HTTPConflict(text=f"Not clicked: {error}.") from None
        if not result.taken:
            raise web.HTTPBadGateway(text=f"Slack would show an error: the answer was {result.status}.")
        raise web.HTTPSeeOther("/")

    app = web.Application(middlewares=[gate_middleware(lambda: inboxes.gate)])
    app.add_routes([web.get("/", show), web.post("/click", click)])
    app.add_routes(slack_routes(inboxes.slack))
    app.add_routes(inboxes.pagerduty.routes())
    return app
