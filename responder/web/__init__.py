"""The HTTP door: webhooks and clicks in, health and metrics out.

Checks and passes on, decides nothing. Called by app.
"""

from __future__ import annotations

from responder.web.app import web_app
from responder.web.ports import (
    InteractionReceiver,
    Readiness,
    ReadinessCheck,
    Receipt,
    RefusedAlert,
    WebhookReceiver,
)

__all__ = [
    "InteractionReceiver",
    "Readiness",
    "ReadinessCheck",
    "Receipt",
    "RefusedAlert",
    "WebhookReceiver",
    "web_app",
]
