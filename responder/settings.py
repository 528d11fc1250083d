"""What an operator sets: flags first, then RESPONDER_... variables, then the defaults here.

Secrets come from a variable or from the file a ..._FILE variable names, never from a flag, which `ps` shows.
Read by app, cli and sandbox.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from responder.setting_values import (
    Days,
    Duration,
    NoSecret,
    Secret,
    Url,
    Wait,
    check_channel,
    check_identity,
    check_lease,
    check_listen,
    shape_of,
    split,
)

PREFIX = "RESPONDER_"

# Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_SECRETS = ("webhook_token", "slack_bot_token", "slack_signing_secret", "pagerduty_routing_key")
_MAX_SECRET_BYTES = 64 * 1024

# What `make test` and `make bench` read, which may be set while a responder is tried out beside them.
_NOT_SETTINGS = ("RESPONDER_REQUIRE_REAL", "RESPONDER_BENCH_KUBECONFIG")
# Kubernetes describes each Service named responder or responder-... to the pods that start after it.
# Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_A_SERVICE = re.compile(
    r"\w+_SERVICE_HOST|\w+_SERVICE_PORT(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)


class SettingsError(ValueError):
    """A setting is missing or wrong; str() has a line for each: its variable, its shape, what to do."""


class Settings(BaseSettings):
    """Everything that can be set; each field's variable is RESPONDER_ and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    listen: Annotated[str, AfterValidator(check_listen)] = Field(
        default="0.0.0.0:8080",
        description="HOST:PORT that webhooks, Slack and probes reach; port 0 takes a free one",
    )
    rules: Path = Field(default=Path("rules"), description="the rule file, or the folder of rule files")
    namespace: str = Field(
        default="",
        validation_alias=AliasChoices("RESPONDER_NAMESPACE", "POD_NAMESPACE"),
        description="the responder's own namespace; by default the pod's, outside of a cluster 'default'",
    )
    identity: Annotated[str, AfterValidator(check_identity)] = Field(
        default_factory=socket.gethostname,
        description="this replica's name, in the Lease and for the API server's audit; by default the host's",
    )
    lease_duration: Annotated[Duration, AfterValidator(check_lease)] = Field(
        default=timedelta(seconds=15),
        description="how long a replica that died is waited for before another takes over; whole seconds",
    )
    kubeconfig: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("RESPONDER_KUBECONFIG", "KUBECONFIG"),
        description="the kubeconfig of the cluster to act on; by default the pod's service account is used",
    )
    context: str | None = Field(default=None, description="the kubeconfig's context, if not its current one")
    prometheus_url: Url = Field(
        repr=False, description="the address of Prometheus, which incidents are judged by"
    )
    alertmanager_urls: Annotated[tuple[Url, ...], NoDecode, BeforeValidator(split)] = Field(
        default=(),
        validation_alias=AliasChoices("RESPONDER_ALERTMANAGER_URLS", "RESPONDER_ALERTMANAGER_URL"),
        repr=False,
        description="the addresses of all members of the Alertmanager cluster, separated by commas;"
        " without them a delivery that got lost is not found again",
    )
    receiver: str = Field(
        default="responder",
        min_length=1,
        description="the responder's receiver in Alertmanager's configuration",
    )
    repeat_interval: Duration = Field(
        default=timedelta(hours=4), description="repeat_interval of the responder's route in Alertmanager"
    )
    decide_every: Duration = Field(
        default=timedelta(seconds=15), description="how often an open incident is judged anew"
    )
    max_open_incidents: int = Field(
        default=1000,
        ge=1,
        le=10_000,
        description="the most incidents that are open at once; alerts that need another one wait",
    )
    retention: Days = Field(
        default=timedelta(days=30), description="after so many whole days a closed incident is deleted"
    )
    # The cluster's own, and those of the controllers that would put back what was undone.
    protected_namespaces: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)] = Field(
        default=("kube-*", "argocd", "flux-system"),
        description="namespaces, separated by commas, in which nothing is rolled back; the responder's own is"
        " another one always",
    )
    # Two services broken by their own releases in five minutes is a bad day; three share a cause.
    storm_workloads: int = Field(
        default=3, ge=2, le=1000, description="so many workloads that want a rollback at once are a storm"
    )
    # As long as the usual `for`, by which the alerts of one cause come apart.
    storm_within: Duration = Field(
        default=timedelta(minutes=5), description="within how long they have to want it for that"
    )
    # A delivery and an evaluation: what has the same cause pends by then.
    storm_wait: Wait = Field(
        default=timedelta(seconds=10),
        description="how long after its first alert an incident waits for other workloads' alerts before"
        " anything is automatic",
    )
    # By then what was broken for all works again, or somebody has looked.
    storm_calm: Wait = Field(
        default=timedelta(minutes=15), description="how long after a storm nothing is automatic"
    )
    look_at_secrets: bool = Field(
        default=False,
        description="whether the Secrets that a revision needs are looked for before it is brought back;"
        " takes the right to get them",
    )
    look_for_drivers: bool = Field(
        default=False,
        description="whether Flagger's Canaries and Argo Rollouts are looked at for the workloads that they"
        " drive; takes the right to list them",
    )

    webhook_token: Secret = Field(
        min_length=1,
        description="the bearer token that Alertmanager shows; RESPONDER_WEBHOOK_TOKEN_FILE can name a file",
    )
    webhook_token_file: Path | None = Field(default=None, description="a file with the webhook_token")
    max_body_bytes: int = Field(
        default=1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="the largest request body taken"
    )
    max_alerts: int = Field(default=1000, ge=1, le=100_000, description="the most alerts in one delivery")

    slack_api_url: Url = Field(default="https://slack.com/api/", description="the address of Slack's Web API")
    slack_channel: Annotated[str, AfterValidator(check_channel)] = Field(
        default="", description="the channel for incidents whose rules name none"
    )
    slack_bot_token: Secret | None = Field(
        default=None, description="the bot token (xoxb-...); without it Slack is not told"
    )
    slack_bot_token_file: Path | None = Field(default=None, description="a file with the slack_bot_token")
    slack_signing_secret: Secret | None = Field(
        default=None, description="the app's signing secret; without it buttons in Slack do not work"
    )
    slack_signing_secret_file: Path | None = Field(
        default=None, description="a file with the slack_signing_secret"
    )

    pagerduty_url: Url = Field(
        default="https://events.pagerduty.com", description="the address of PagerDuty's Events API v2"
    )
    pagerduty_routing_key: Secret | None = Field(
        default=None, description="the integration key of the service to page; without it nobody is paged"
    )
    pagerduty_routing_key_file: Path | None = Field(
        default=None, description="a file with the pagerduty_routing_key"
    )

    log_format: Literal["json", "console"] = Field(
        default="json", description="how log lines are written: json, or console for people"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in _SECRETS:
            file = values.get(f"{name}_file")
            if file is None:
                continue
            if values.get(name) is not None:
                variable = variable_of(name)
                found: str | NoSecret = NoSecret(
                    f"{variable} and {variable}_FILE are both set; leave one out"
                )
            else:
                found = _load_secret(Path(file), f"{variable_of(name)}_FILE")
            values = values | {name: found}
        return values

    @model_validator(mode="before")
    @classmethod
    def _find_namespace(cls, values: dict[str, Any]) -> dict[str, Any]:
        if any(values.get(key) for key in ("namespace", "RESPONDER_NAMESPACE", "POD_NAMESPACE")):
            return values
        try:
            found = _NAMESPACE_FILE.read_text().strip()
        except OSError:  # not in a pod
            found = "default"
        return values | {"namespace": found}

    @property
    def listen_host(self) -> str:
        """The address to bind; '' binds all of them."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port to bind; 0 takes a free one."""
        return int(self.listen.rpartition(":")[2])


def variable_of(field: str) -> str:
    """The environment variable that sets a field."""
    return f"{PREFIX}{field}".upper()


def variables_of(field: str) -> tuple[str, ...]:
    """Every variable of ours that sets a field; the first is the usual one."""
    alias = Settings.model_fields[field].validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [variable_of(field)]
    return tuple(str(name) for name in names if str(name).startswith(PREFIX))


def load_settings(flags: Mapping[str, Any] | None = None, *, listening: bool = True) -> Settings:
    """Read the settings: flags (by field name; None is not given), then the environment.

    Whoever is not `listening` takes no deliveries in and needs no webhook_token. Raises SettingsError, which
    never shows a value, as it may be a secret.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    # In capitals, as pydantic takes them however they are written.
    variables = {name.upper(): value for name, value in os.environ.items() if value}
    problems = list(_check_variables(variables))
    token = variable_of("webhook_token")
    if not listening and not {token, f"{token}_FILE"} & variables.keys():
        given["webhook_token"] = secrets.token_hex()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(_joined([*problems, *_explain(error)])) from None
    if problems:
        raise SettingsError(_joined(problems))
    return settings


def _check_variables(variables: Mapping[str, str]) -> Iterator[str]:
    """Name every variable of ours that sets nothing: a typing error must not leave a default in place."""
    known = [names for field in Settings.model_fields if (names := variables_of(field))]
    for names in known:
        if len(both := [name for name in names if name in variables]) > 1:
            yield f"{' and '.join(both)} are both set; leave one out"
    ours = [name for names in known for name in names]
    for name, value in variables.items():
        if (
            name.startswith(PREFIX)
            and name not in (*ours, *_NOT_SETTINGS)
            and not _is_of_service(name, value)
        ):
            # The prefix makes all of them alike.
            own = name.removeprefix(PREFIX)
            meant = get_close_matches(own, [each.removeprefix(PREFIX) for each in ours], n=1)
            hint = f"did you mean {PREFIX}{meant[0]}?" if meant else "take it out"
            yield f"{name}: is not a setting; {hint}"


def _is_of_service(name: str, value: str) -> bool:
    return _OF_A_SERVICE.fullmatch(name) is not None or (name.endswith("_PORT") and "://" in value)


def _load_secret(path: Path, variable: str) -> str | NoSecret:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
        secret = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        return NoSecret(f"{variable}: {path} can't be read: {why}")
    if not secret or len(content) > _MAX_SECRET_BYTES:
        return NoSecret(f"{variable}: {path} is empty or too large to be a secret")
    return secret


def _explain(error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        message = detail["msg"].removeprefix("Value error, ")
        if not detail["loc"]:
            yield message
            continue
        name = str(detail["loc"][0]).removeprefix(PREFIX).lower()
        field = Settings.model_fields.get(name)
        if field is None:
            yield f"{variable_of(name)}: is not a setting; take it out"
            continue
        if message.startswith(variable_of(name)):
            yield message  # of a secret's file, whose variable it names
            continue
        shape = shape_of(field)
        if detail["type"] == "missing":
            message = f"is not set; it takes {shape}"
        elif detail["type"] != "value_error":
            message = f"must be {shape}"
        yield f"{variable_of(name)}: {message} ({field.description})"


def _joined(problems: list[str]) -> str:
    found = list(dict.fromkeys(problems))
    if len(found) == 1:
        return found[0]
    return f"{len(found)} settings are missing or wrong:" + "".join(f"\n  {each}" for each in found)
