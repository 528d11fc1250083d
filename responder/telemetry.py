"""What the responder says of itself: log lines and metrics. Decides nothing, keeps no state of incidents.

Logging is configured once, by the command line; Metrics is made once for each app and handed down.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from structlog.typing import EventDict, Processor, WrappedLogger

# What /metrics answers with, as a whole Content-Type header.
METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECRET_KEY = re.compile(
    r"token|secret|password|authorization|cookie|signature|(routing|api)_?key", re.IGNORECASE
)
_REDACTED = "[redacted]"
_REDACT_DEPTH = 6

_REPEATED_AFTER = timedelta(seconds=30)
_MOST_REMEMBERED = 256

# From a webhook's milliseconds to a rollout's minutes.
_STEP_BUCKETS = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class Metrics:
    """The responder's own metrics, in a registry of their own: two apps in one process don't meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.webhooks = self._counter(
            "responder_webhooks",
            "Webhook deliveries, by result: accepted, refused, unavailable",
            "result",
            "reason",
        )
        self.alerts = self._counter("responder_alerts", "Alerts delivered, firing or resolved", "status")
        self.alerts_refused = self._counter(
            "responder_alerts_refused", "Alerts that were delivered and not taken in", "reason"
        )
        self.dropped = self._counter(
            "responder_dropped",
            "What had no room in an incident or a record: alert, label, timeline_line, verdict, held",
            "what",
        )
        self.incidents = self._counter(
            "responder_incidents", "Closed incidents, by outcome", "outcome", "reason"
        )
        self.decisions = self._counter(
            "responder_decisions", "Decisions taken, by action", "action", "reason"
        )
        self.rollbacks = self._counter("responder_rollbacks", "Rollbacks tried, by result", "result")
        self.notifications = self._counter(
            "responder_notifications", "Messages to people, by channel and result", "channel", "result"
        )
        self.notifications_given_up = self._counter(
            "responder_notifications_given_up",
            "Channels that were not told of an incident's end within an hour",
            "channel",
        )
        self.unexpected = self._counter(
            "responder_unexpected_errors",
            "Defects that ended one piece of work, which is tried again, and nothing else",
            "work",
        )
        self.open_incidents = self._gauge(
            "responder_open_incidents", "Incidents that are open now, as every replica knows them"
        )
        self.unwatched = self._gauge(
            "responder_unwatched_workloads",
            "Workloads of rule files that the replica which leads has never been able to see",
        )
        self.ready = self._gauge("responder_ready", "1 when this process could do its work, as /readyz says")
        self.leading = self._gauge("responder_leading", "1 while this replica holds the Lease and acts")
        self.step_seconds = Histogram(
            "responder_step_seconds",
            "How long each step from webhook to outcome took",
            ["step"],
            buckets=_STEP_BUCKETS,
            registry=self.registry,
        )

    def count_dropped(self, what: str, number: int) -> None:
        """Count what had no room in an object."""
        self.dropped.labels(what).inc(number)

    def count_notification(self, channel: str, result: str) -> None:
        """Count a message by what became of it; one that is given up apart, for it was counted as failed."""
        if result == "given_up":
            self.notifications_given_up.labels(channel).inc()
        else:
            self.notifications.labels(channel, result).inc()

    def count_unexpected(self, work: str) -> None:
        """Count an error that nobody foresaw, met by that kind of work."""
        self.unexpected.labels(work).inc()

    def render(self) -> bytes:
        """All metrics in the text format that METRICS_CONTENT_TYPE names."""
        return generate_latest(self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, registry=self.registry)


def bind_incident(namespace: str, name: str) -> AbstractContextManager[None]:
    """Put the incident's name on every log line written within, tasks started within included."""
    return structlog.contextvars.bound_contextvars(incident=f"{namespace}/{name}")


def configure_logging(log_format: Literal["json", "console"], now: Callable[[], datetime]) -> None:
    """Send all log lines, the libraries' too, to stderr: stamped by `now`, secrets redacted.

    A line of ours that says what another said is written every 30 s at most, with how many were left out.
    Changes the process's logging: for the command line, not for libraries or tests of other things.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _stamp(now),
        redact,
    ]
    structlog.configure(
        processors=[Repeats(now), *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    final: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        final += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    else:
        plain = structlog.dev.plain_traceback
        final.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=final))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # Probes and scrapes would drown everything else; what webhooks bring is logged by what they lead to.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class Repeats:
    """Drops a line that says what another said less than 30 s ago: retries must not flood the log.

    The next one that is written carries in `repeated` how many were dropped. Tracebacks are never dropped.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        # By content: when it was written last, and how often it was dropped since; the oldest first.
        self._written: dict[str, tuple[datetime, int]] = {}

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """structlog's processor. Raises DropEvent for a line that is not to be written."""
        if "exc_info" in event:
            return event
        content = repr((method, structlog.contextvars.get_contextvars(), sorted(event.items())))
        now = self._now()
        written_at, dropped = self._written.get(content, (None, 0))
        if written_at is not None and timedelta(0) <= now - written_at < _REPEATED_AFTER:
            self._written[content] = (written_at, dropped + 1)
            raise structlog.DropEvent
        self._written.pop(content, None)
        if len(self._written) >= _MOST_REMEMBERED:
            del self._written[next(iter(self._written))]
        self._written[content] = (now, 0)
        return {**event, "repeated": dropped} if dropped else event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank every value whose key sounds like a secret, also inside mappings and lists."""
    return {key: _redacted(key, value, _REDACT_DEPTH) for key, value in event.items()}


def _redacted(key: str, value: Any, depth: int) -> Any:
    if _SECRET_KEY.search(key):
        return _REDACTED
    if isinstance(value, Mapping):
        if depth == 0:  # too deep to look through, so not shown
            return _REDACTED
        return {inner: _redacted(str(inner), part, depth - 1) for inner, part in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", part, depth - 1) for part in value] if depth else _REDACTED
    return value


def _stamp(now: Callable[[], datetime]) -> Processor:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["at"] = now().isoformat()
        return event

    return stamp
