"""The undo would be taken, and what it brings back would find what it needs. Pure."""

from __future__ import annotations

from responder.rules.facts import Facts
from responder.verdicts import Verdict, failed, passed, unknown


def configuration_exists(facts: Facts) -> Verdict:
    """Every ConfigMap, claim and service account that the target names exists, with the keys it needs."""
    check = "ConfigurationExists"
    looked = facts.preflight
    if facts.target is None or looked is None:
        return unknown(check, "TargetUnknown", "What the revision to go back to needs is not known.")
    name = facts.target.revision.name
    if looked.missing:
        text = (
            f"Revision {name} needs what is not there: {', '.join(looked.missing)}. Its pods would not start"
        )
        return failed(check, "ConfigurationMissing", f"{text}.", missing=", ".join(looked.missing))
    if looked.unread:
        unread = ", ".join(looked.unread)
        text = f"Whether {name} finds what it needs can't be told: {unread} could not be looked at"
        return unknown(check, "ConfigurationUnseen", f"{text}.", unread=unread)
    found = f"{len(looked.found)} objects that {name} needs exist"
    if looked.unseen:
        # No reason to hold: who gives no right to look at Secrets knows that nobody looks.
        unseen = ", ".join(looked.unseen)
        return passed(check, "ConfigurationExists", f"{found}; nobody looked at {unseen}.", unseen=unseen)
    return passed(check, "ConfigurationExists", f"{found}.")


def dry_run_admitted(facts: Facts) -> Verdict:
    """The API server and its webhooks take the very patch, and leave the target's template as it is."""
    check = "DryRunAdmitted"
    looked = facts.preflight
    if facts.target is None or looked is None or not looked.tried:
        return unknown(check, "NotTried", "The patch was not tried, as there is none that could be sent.")
    name = facts.target.revision.name
    if looked.refusal:
        return failed(check, "DryRunRefused", f"The API server would refuse the undo: {looked.refusal}")
    if looked.untold:
        return unknown(
            check, "DryRunUntold", f"Whether the undo would be taken can't be told: {looked.untold}"
        )
    if looked.changed:
        text = f"Something in the API server changes the template of {name} on its way in"
        return failed(check, "DryRunChangesTemplate", f"{text}: what comes back would not be {name}.")
    return passed(check, "DryRunAdmitted", f"The API server would take the undo to {name}.")
