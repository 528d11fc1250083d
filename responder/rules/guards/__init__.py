"""The guards: what has to be true before a rollback may be automatic. Pure; `decide` asks them all.

Each guard is one small function over the facts. All are evaluated and recorded, whatever the others say.
"""

from responder.rules.guards.cause import find_onset
from responder.rules.guards.checklist import GUARDS, overridable

__all__ = ["GUARDS", "find_onset", "overridable"]
