"""Settings: what wins over what, and an error that names the variable and never the value."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from responder.settings import Settings, SettingsError, load_settings

Environment = Callable[..., None]

LEAST = {"RESPONDER_PROMETHEUS_URL": "http://prometheus:9090", "RESPONDER_WEBHOOK_TOKEN": "hunter2"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Set exactly these variables of ours."""

    def set_variables(**variables: str) -> None:
        for name in list(os.environ):
            if name.startswith("RESPONDER_") or name in ("KUBECONFIG", "POD_NAMESPACE"):
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


def test_little_must_be_set(environment: Environment) -> None:
    environment(**LEAST)
    settings = load_settings()
    assert settings.webhook_token.get_secret_value() == "hunter2"
    assert (settings.listen_host, settings.listen_port) == ("0.0.0.0", 8080)
    assert settings.kubeconfig is None
    assert settings.repeat_interval == timedelta(hours=4)


def test_a_flag_wins_over_a_variable_and_none_is_no_flag(environment: Environment) -> None:
    environment(**LEAST, RESPONDER_RULES="/etc/rules", RESPONDER_CONTEXT="production", KUBECONFIG="/k")
    settings = load_settings({"rules": Path("mine"), "context": None, "kubeconfig": Path("/flag")})
    assert (settings.rules, settings.context) == (Path("mine"), "production")
    assert settings.kubeconfig == Path("/flag")


def test_our_own_variable_wins_over_the_one_that_is_everybodys(environment: Environment) -> None:
    environment(**LEAST, KUBECONFIG="/everybody", RESPONDER_KUBECONFIG="/ours", POD_NAMESPACE="pod")
    assert load_settings().kubeconfig == Path("/ours")
    assert load_settings().namespace == "pod"
    assert load_settings({"namespace": "flag"}).namespace == "flag"


def test_an_empty_variable_is_not_set(environment: Environment) -> None:
    environment(**LEAST, KUBECONFIG="", RESPONDER_SLACK_BOT_TOKEN="")
    assert load_settings().kubeconfig is None
    assert load_settings().slack_bot_token is None


def test_lists_and_durations_are_written_as_people_write_them(environment: Environment) -> None:
    environment(
        **LEAST,
        RESPONDER_ALERTMANAGER_URLS="http://a:9093, http://b:9093",
        RESPONDER_REPEAT_INTERVAL="1m30s",
        RESPONDER_LISTEN="[::1]:0",
    )
    settings = load_settings()
    assert settings.alertmanager_urls == ("http://a:9093", "http://b:9093")
    assert settings.repeat_interval == timedelta(seconds=90)
    assert (settings.listen_host, settings.listen_port) == ("::1", 0)


def test_a_secret_may_stand_in_a_file(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    environment(
        RESPONDER_PROMETHEUS_URL="http://prometheus:9090",
        RESPONDER_WEBHOOK_TOKEN_FILE=str(tmp_path / "token"),
        RESPONDER_PAGERDUTY_ROUTING_KEY_FILE=str(tmp_path / "token"),
    )
    settings = load_settings()
    assert settings.webhook_token.get_secret_value() == "from-file"
    assert settings.pagerduty_routing_key is not None
    assert "from-file" not in repr(settings)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RESPONDER_PROMETHEUS_URL": ""}, "RESPONDER_PROMETHEUS_URL: is not set"),
        ({"RESPONDER_PROMETHEUS_URL": "prometheus:9090"}, "RESPONDER_PROMETHEUS_URL: must be an address"),
        ({"RESPONDER_WEBHOOK_TOKEN": ""}, "RESPONDER_WEBHOOK_TOKEN_FILE can name a file"),
        ({"RESPONDER_WEBHOOK_TOKEN_FILE": "/nowhere"}, "are both set; leave one out"),
        ({"RESPONDER_SLACK_BOT_TOKEN_FILE": "/nowhere"}, "/nowhere can't be read: No such file"),
        ({"RESPONDER_SLACK_BOT_TOKEN_FILE": "/dev/null"}, "/dev/null is empty"),
        ({"RESPONDER_SLACK_BOT_TOKEN_FILE": "/dev/zero"}, "too large to be a secret"),
        ({"RESPONDER_ALERTMANAGER_URLS": "http://a,b"}, "RESPONDER_ALERTMANAGER_URLS: must be an address"),
        ({"RESPONDER_LISTEN": "8080"}, "RESPONDER_LISTEN: must be HOST:PORT"),
        ({"RESPONDER_LISTEN": "::1:8080"}, "RESPONDER_LISTEN: must be HOST:PORT"),
        ({"RESPONDER_LISTEN": "a:70000"}, "RESPONDER_LISTEN: must be HOST:PORT"),
        ({"RESPONDER_DECIDE_EVERY": "15"}, "RESPONDER_DECIDE_EVERY: must be a duration such as 10s"),
        ({"RESPONDER_DECIDE_EVERY": "0s"}, "RESPONDER_DECIDE_EVERY: must be longer than 0s"),
        (
            {"RESPONDER_MAX_ALERTS": "many"},
            "RESPONDER_MAX_ALERTS: must be a whole number from 1 to 100000 (the most alerts in one delivery)",
        ),
        (
            {"RESPONDER_RETENTION": "30"},
            "RESPONDER_RETENTION: must be whole days from 1d to 365d, such as 30d",
        ),
        ({"RESPONDER_RETENTION": "36h"}, "RESPONDER_RETENTION: must be whole days from 1d to 365d"),
        ({"RESPONDER_RETENTION": "0d"}, "RESPONDER_RETENTION: must be whole days from 1d to 365d"),
        ({"RESPONDER_RETENTION": "366d"}, "RESPONDER_RETENTION: must be whole days from 1d to 365d"),
        (
            {"RESPONDER_MAX_OPEN_INCIDENTS": "0"},
            "RESPONDER_MAX_OPEN_INCIDENTS: must be a whole number from 1 to 10000 (",
        ),
        ({"RESPONDER_STORM_WORKLOADS": "1.5"}, "RESPONDER_STORM_WORKLOADS: must be a whole number from 2 to"),
        (
            {"RESPONDER_SLACK_CHANNEL": "#x y"},
            "RESPONDER_SLACK_CHANNEL: must be a Slack channel such as #payments or C012AB3CD (the",
        ),
        ({"RESPONDER_SLACK_CHANNEL": "#"}, "RESPONDER_SLACK_CHANNEL: must be a Slack channel"),
        ({"RESPONDER_LOG_FORMAT": "xml"}, "RESPONDER_LOG_FORMAT: must be json or console (how log lines"),
        ({"RESPONDER_LOOK_AT_SECRETS": "maybe"}, "RESPONDER_LOOK_AT_SECRETS: must be true or false (whether"),
    ],
)
def test_what_is_wrong_is_named_by_its_variable(
    environment: Environment, variables: dict[str, str], message: str
) -> None:
    environment(**LEAST | variables)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert message in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"RESPONDER_PROMETEUS_URL": "http://x", "RESPONDER_PROMETHEUS_URL": ""},
            "RESPONDER_PROMETEUS_URL: is not a setting; did you mean RESPONDER_PROMETHEUS_URL?\n"
            "  RESPONDER_PROMETHEUS_URL: is not set",
        ),
        ({"RESPONDER_EXTERNAL_URL": "http://x"}, "RESPONDER_EXTERNAL_URL: is not a setting"),
        ({"responder_lisen": "x"}, "RESPONDER_LISEN: is not a setting; did you mean RESPONDER_LISTEN?"),
        ({"RESPONDER_PORT": "8080"}, "RESPONDER_PORT: is not a setting"),
        (
            {"RESPONDER_ALERTMANAGER_URL": "http://a", "RESPONDER_ALERTMANAGER_URLS": "http://b"},
            "RESPONDER_ALERTMANAGER_URLS and RESPONDER_ALERTMANAGER_URL are both set; leave one out",
        ),
        (
            {"RESPONDER_WEBHOOK_TOKEN": "CHANGE-ME"},
            "RESPONDER_WEBHOOK_TOKEN: is still the example's CHANGE-ME",
        ),
        ({"RESPONDER_PAGERDUTY_ROUTING_KEY": "change-me"}, "RESPONDER_PAGERDUTY_ROUTING_KEY: is still"),
    ],
)
def test_what_would_be_overlooked_is_refused(
    environment: Environment, variables: dict[str, str], message: str
) -> None:
    environment(**LEAST | variables)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert message in str(raised.value)


def test_each_mistake_has_a_line_that_says_what_to_do(environment: Environment) -> None:
    environment(RESPONDER_LISTEN="8080", RESPONDER_DECIDE_EVERY="15", RESPONDER_FOO="1")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    head, *lines = str(raised.value).splitlines()
    assert head == "5 settings are missing or wrong:"
    # Nothing resembles RESPONDER_FOO but the prefix.
    assert "  RESPONDER_FOO: is not a setting; take it out" in lines
    assert (
        "  RESPONDER_PROMETHEUS_URL: is not set; it takes an address such as http://prometheus:9090"
        " (the address of Prometheus, which incidents are judged by)"
    ) in lines
    variables = ("DECIDE_EVERY", "FOO", "LISTEN", "PROMETHEUS_URL", "WEBHOOK_TOKEN")
    assert sorted(line.partition(":")[0] for line in lines) == [f"  RESPONDER_{name}" for name in variables]
    assert "it takes any text that is secret" in str(raised.value)


def test_a_secret_that_can_not_be_read_hides_no_other_mistake(environment: Environment) -> None:
    environment(RESPONDER_WEBHOOK_TOKEN_FILE="/nowhere", RESPONDER_LISTEN="8080")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    head, *lines = str(raised.value).splitlines()
    assert head == "3 settings are missing or wrong:"
    assert "  RESPONDER_WEBHOOK_TOKEN_FILE: /nowhere can't be read: No such file or directory" in lines


def test_one_mistake_is_one_line(environment: Environment) -> None:
    environment(**LEAST, RESPONDER_FOO="1")
    with pytest.raises(SettingsError, match=r"^RESPONDER_FOO: is not a setting; take it out$"):
        load_settings()


def test_a_placeholder_in_a_file_is_refused(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("CHANGE-ME\n")
    environment(**LEAST, RESPONDER_SLACK_BOT_TOKEN_FILE=str(tmp_path / "token"))
    with pytest.raises(SettingsError, match="RESPONDER_SLACK_BOT_TOKEN: is still"):
        load_settings()


def test_one_alertmanager_may_be_set_in_the_singular(environment: Environment) -> None:
    environment(**LEAST, RESPONDER_ALERTMANAGER_URL="http://a:9093")
    assert load_settings().alertmanager_urls == ("http://a:9093",)
    assert load_settings({"alertmanager_urls": ("http://flag",)}).alertmanager_urls == ("http://flag",)


def test_what_kubernetes_and_the_makefile_set_is_not_taken_for_a_mistake(environment: Environment) -> None:
    environment(
        **LEAST,
        RESPONDER_SERVICE_HOST="10.0.0.1",
        RESPONDER_SERVICE_PORT="8080",
        RESPONDER_SERVICE_PORT_HTTP="8080",
        RESPONDER_PORT="tcp://10.0.0.1:8080",
        RESPONDER_PORT_8080_TCP="tcp://10.0.0.1:8080",
        RESPONDER_PORT_8080_TCP_ADDR="10.0.0.1",
        RESPONDER_CANARY_SERVICE_HOST="10.0.0.2",
        RESPONDER_REQUIRE_REAL="1",
        RESPONDER_FORGOTTEN="",
    )
    assert load_settings().listen_port == 8080


def test_every_setting_is_documented() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
