"""Nothing that people set forbids it: protection and freezes. Pure."""

from __future__ import annotations

from responder.rules.facts import Facts
from responder.verdicts import Verdict, failed, passed


def not_protected(facts: Facts) -> Verdict:
    """The workload is none that nothing automatic may touch."""
    if facts.protected is not None:
        return failed("NotProtected", "Protected", facts.protected)
    return passed("NotProtected", "NotProtected", "The workload is not protected.")


def not_frozen(facts: Facts) -> Verdict:
    """Nobody froze the workload, its namespace, or everything."""
    if facts.freezes:
        marks = "; ".join(f"{freeze.where}: {freeze.reason or 'no reason given'}" for freeze in facts.freezes)
        digests = " ".join(sorted(freeze.digest for freeze in facts.freezes))
        return failed("NotFrozen", "Frozen", f"Rollbacks are frozen ({marks}).", marks=digests)
    return passed("NotFrozen", "NotFrozen", "Nothing is frozen.")
