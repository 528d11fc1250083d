"""Everything that `responder serve` imports, also late: loaded once, before replicas are forked."""

from __future__ import annotations

import responder.app
import responder.cli.main
import tests.crash.play
from responder.clients.kubernetes.library import load_library

__all__ = ["responder", "tests"]

load_library()
