"""The Alertmanager configuration that rule files ask for. Pure; called by rendering, the demo and the tests.

Source: https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from responder.alerts.model import RULE_LABEL
from responder.rules.matchers import Matcher
from responder.rules.model import GROUP_INTERVAL, RuleSet
from responder.rules.quantities import format_duration

# The label of alerts about the responder itself, which must not depend on it to be heard.
FALLBACK_MATCHER = Matcher("responder_fallback", "=", "pagerduty")
# By alertname as well: a mild alert in the same group would hold up the severe one by a group_interval.
GROUP_BY = ("namespace", "deployment", "alertname")


@dataclass(frozen=True, slots=True)
class Receivers:
    """Where Alertmanager delivers, and the files it reads its secrets from. The defaults suit deploy/."""

    webhook_url: str = "http://responder.responder.svc:8080/webhooks/alertmanager"
    webhook_token_file: str = "/etc/alertmanager/secrets/responder-webhook-token"
    pagerduty_key_file: str = "/etc/alertmanager/secrets/pagerduty-routing-key"
    # None: PagerDuty's own address.
    pagerduty_url: str | None = None
    repeat_interval: timedelta = timedelta(hours=4)
    group_interval: timedelta = GROUP_INTERVAL


def render_alertmanager(rules: RuleSet, receivers: Receivers) -> dict[str, object]:
    """A whole configuration: the responder's route, and a way past it for alerts about the responder."""
    taken = [[str(Matcher(RULE_LABEL, "=~", ".+"))], *_foreign_matchers(rules)]
    return {
        "route": {
            # Alerts that no rule file speaks of stop here: put your own routes beside ours.
            "receiver": "nobody",
            "routes": [
                _fallback_route(receivers),
                *(_responder_route(matchers, receivers) for matchers in taken),
            ],
        },
        "receivers": [
            {"name": "nobody"},
            {"name": "responder", "webhook_configs": [_webhook(receivers)]},
            {"name": "pagerduty-fallback", "pagerduty_configs": [_pagerduty(receivers)]},
        ],
    }


def _foreign_matchers(rules: RuleSet) -> Iterable[list[str]]:
    """The matchers of alerts that somebody else's rules fire, each only for the workload it stands for."""
    for file in rules.files:
        own = [str(Matcher(label, "=", value)) for label, value in file.selector.items()]
        yield from ([*own, *map(str, rule.matchers)] for rule in file.rules if rule.matchers)


def _fallback_route(receivers: Receivers) -> dict[str, object]:
    return {
        "receiver": "pagerduty-fallback",
        "matchers": [str(FALLBACK_MATCHER)],
        "group_by": ["alertname"],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": format_duration(receivers.repeat_interval),
    }


def _responder_route(matchers: list[str], receivers: Receivers) -> dict[str, object]:
    return {
        "receiver": "responder",
        "matchers": matchers,
        "group_by": list(GROUP_BY),
        # Incidents do the grouping; waiting here would only make the rollback later.
        "group_wait": "0s",
        "group_interval": format_duration(receivers.group_interval),
        "repeat_interval": format_duration(receivers.repeat_interval),
    }


def _webhook(receivers: Receivers) -> dict[str, object]:
    return {
        "url": receivers.webhook_url,
        "send_resolved": True,
        # 0 is no limit: an alert cut off here would never be heard of.
        "max_alerts": 0,
        "http_config": {
            "authorization": {"type": "Bearer", "credentials_file": receivers.webhook_token_file},
        },
    }


def _pagerduty(receivers: Receivers) -> dict[str, object]:
    config: dict[str, object] = {
        "routing_key_file": receivers.pagerduty_key_file,
        "send_resolved": True,
        "severity": "critical",
    }
    if receivers.pagerduty_url is not None:
        config["url"] = receivers.pagerduty_url
    return config
