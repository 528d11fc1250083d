"""One API request as the verbs see it, and the answer they give: no sockets, no aiohttp.

The server makes calls out of HTTP requests; verbs, subresources and reviews answer with replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from responder.sandbox.api import status
from responder.sandbox.api.access import User
from responder.sandbox.api.objects import Object
from responder.sandbox.api.status import Cause, unsupported_value
from responder.sandbox.api.target import Target

_MANAGER_BYTES = 128
_FIELD_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_OPTIONS_KINDS = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request on a resource; content_type is without parameters, body as it came."""

    at: datetime
    target: Target
    query: Mapping[str, str]
    user: User
    user_agent: str
    content_type: str
    body: bytes = field(repr=False)
    accept: str = ""

    @property
    def dry_run(self) -> bool:
        """Tell whether nothing is to be stored."""
        return self.query.get("dryRun") == "All"

    @property
    def manager(self) -> str:
        """The name under which managedFields remember the writer."""
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"

    @property
    def field_validation(self) -> str:
        """What to do about unknown fields: Ignore, Strict or Warn."""
        return self.query.get("fieldValidation") or "Warn"

    def check_options(self) -> None:
        """Return when the write options make sense; ApiError 422 names what does not."""
        causes = []
        if "dryRun" in self.query and not self.dry_run:
            causes.append(unsupported_value("dryRun", [self.query["dryRun"]], ("All",)))
        if len(self.query.get("fieldManager", "").encode()) > _MANAGER_BYTES:
            text = f"Too long: may not be more than {_MANAGER_BYTES} bytes"
            causes.append(Cause("FieldValueTooLong", text, "fieldManager"))
        if self.query.get("fieldValidation", "") not in _FIELD_VALIDATIONS:
            wrong = self.query["fieldValidation"]
            causes.append(unsupported_value("fieldValidation", wrong, _FIELD_VALIDATIONS))
        if causes:
            raise status.invalid_options(_OPTIONS_KINDS[self.target.verb], causes)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: an object, or plain text; each warning becomes a Warning header."""

    code: int
    body: Object | str
    warnings: tuple[str, ...] = ()
