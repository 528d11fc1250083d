"""What an alert is to us, whichever way it arrived (webhook or Alertmanager's API). Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

# The label by which an alert names its rule: "<rule file's service>/<alert's name>".
RULE_LABEL = "responder_rule"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert instance. `ends_at` is None while it fires."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    generator_url: str

    @property
    def firing(self) -> bool:
        """True until the alert has an end."""
        return self.ends_at is None

    @property
    def name(self) -> str:
        """The alertname label, or its fingerprint where it has none."""
        return self.labels.get("alertname") or self.fingerprint


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """One webhook delivery. `truncated_alerts` counts what Alertmanager left out of it."""

    receiver: str
    group_key: str
    external_url: str
    truncated_alerts: int
    alerts: tuple[Alert, ...]
