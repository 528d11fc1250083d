"""The Kubernetes API in plain dicts: requests, watches, errors, paths.

Knows the API server's manners (pages, conflicts, lost answers), not what the objects mean. Called by every
room from `incidents` upwards.
"""

from __future__ import annotations

from responder.clients.kubernetes.client import Kubernetes
from responder.clients.kubernetes.connection import connect
from responder.clients.kubernetes.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    OutcomeUnknown,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from responder.clients.kubernetes.model import (
    Changed,
    Gap,
    Listed,
    Object,
    ObjectList,
    Observation,
    WatchEvent,
)

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Changed",
    "Conflict",
    "Expired",
    "Forbidden",
    "Gap",
    "Invalid",
    "Kubernetes",
    "Listed",
    "NotFound",
    "Object",
    "ObjectList",
    "Observation",
    "OutcomeUnknown",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "WatchEvent",
    "connect",
]
