"""From a click in the inbox, through the signed request, to a Decision: once, in time, by those who may."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from responder.actions.messages_slack import ACTION_IDS, render_slack
from responder.clients.kubernetes import AlreadyExists, NotFound
from responder.errors import Temporary
from responder.incidents.decision import Choice, Decision, parse_decision
from responder.incidents.model import Ask, Incident, Status
from responder.incidents.notifications import Notifications, SlackState
from responder.incidents.phases import Outcome, Phase
from responder.pipeline.interactions import Interactions
from responder.rules.model import RuleSet
from responder.sandbox.api.faults import FaultRule, Hang
from responder.sandbox.api.server import run_server
from responder.sandbox.inboxes.slack_clicks import ClickResult, SlackHands, SlackUser
from responder.web.slack import SlackInteractions
from tests.shared import run_story
from tests.unit.actions.build import ASK, AT, BAD, TARGET, UID, asking, rollback, rule_file
from tests.unit.sandbox.inboxes.serving import Desk, open_desk

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
ANNA, BERT = SlackUser("U0ANNA", "anna"), SlackUser("U0BERT", "bert")
ROLLBACK, LEAVE = ACTION_IDS[Choice.ROLLBACK], ACTION_IDS[Choice.LEAVE]


@dataclass
class Records:
    """Incidents and decisions in memory, with the names' uniqueness that the API server gives."""

    incident: Incident | None = field(default_factory=asking)
    decisions: dict[str, Decision] = field(default_factory=dict)
    down: bool = False
    meanwhile: Incident | None = None  # what the incident becomes while its answer is stored

    async def get(self, namespace: str, name: str) -> Incident:
        if self.down:
            raise Temporary("The API server does not answer.")
        if self.incident is None or (namespace, name) != ("payments", self.incident.name):
            raise NotFound(404, "NotFound", "not found", {"name": name})
        return self.incident

    async def create_decision(self, obj: dict[str, Any]) -> Decision:
        name = obj["metadata"]["name"]
        if name in self.decisions:
            raise AlreadyExists(409, "AlreadyExists", "exists", {"name": name})
        obj["metadata"] |= {"uid": "d1", "resourceVersion": "1", "creationTimestamp": AT.isoformat()}
        self.incident = self.meanwhile or self.incident
        return self.decisions.setdefault(name, parse_decision(obj))

    async def record_fact(self, incident: Incident, change: Callable[[Status], Status]) -> Incident:
        incident = self.incident or incident
        self.incident = incident.model_copy(update={"status": change(incident.status)})
        return self.incident

    async def get_decision(self, namespace: str, incident: str, digest: str) -> Decision | None:
        return self.decisions.get(f"{incident}-{digest}")


@dataclass
class Channel:
    """The incident's message in the inbox, and hands that click on it."""

    desk: Desk
    records: Records
    hands: SlackHands
    interactions: Interactions

    async def click(self, action_id: str, user: SlackUser = ANNA) -> ClickResult:
        return await self.hands.click(self.desk.slack_inbox.messages[0], action_id, user)

    def payload(self, **action: Any) -> dict[str, Any]:
        """A click's payload with parts of its action replaced."""
        payload = self.hands.payload(self.desk.slack_inbox.messages[0], ROLLBACK, ANNA)
        payload["actions"][0] |= action
        return payload

    @property
    def answers(self) -> list[str]:
        return [each.text for each in self.desk.slack_inbox.ephemerals]

    @property
    def decided(self) -> list[tuple[str, str]]:
        return [(each.spec.choice.value, each.spec.by) for each in self.records.decisions.values()]


def play(
    story: Callable[[Channel], Awaitable[None]],
    *,
    deciders: tuple[str, ...] = (),
    rules: bool = True,
    screen: Incident | None = None,
) -> None:
    async def main() -> None:
        async with open_desk() as desk:
            records = Records()
            files = (rule_file(deciders=deciders),) if rules else ()
            interactions = Interactions(
                store=records, rules=lambda: RuleSet(files), clock=desk.clock, answerer=desk.slack
            )
            endpoint = SlackInteractions(
                interactions, desk.clock, signing_secret=SecretStr(SECRET), max_body_bytes=100_000
            )
            message = render_slack(screen or asking(), rule_file())
            await desk.slack.post("#payments", message.blocks, message.text, incident_uid=UID)
            app = web.Application()
            app.add_routes([web.post("/slack/interactions", endpoint.post)])
            async with run_server(app) as url:
                hands = SlackHands(desk.slack_inbox, SECRET, f"{url}/slack/interactions")
                await story(Channel(desk, records, hands, interactions))

    run_story(main())


@pytest.mark.parametrize(
    ("action_id", "choice", "words"), [(ROLLBACK, "rollback", "roll back"), (LEAVE, "leave", "leave it")]
)
def test_a_click_becomes_a_decision(action_id: str, choice: str, words: str) -> None:
    async def story(channel: Channel) -> None:
        assert (await channel.click(action_id)).taken
        (decision,) = channel.records.decisions.values()
        assert decision.metadata.name == f"{asking().name}-{ASK.digest}"
        assert decision.spec.incident_uid == UID
        assert decision.spec.digest == ASK.digest
        assert channel.decided == [(choice, "slack:U0ANNA (anna)")]
        assert channel.answers == [f"Recorded: {words}."]

    play(story)


def test_the_first_click_counts_and_the_second_hears_whose_it_was() -> None:
    async def story(channel: Channel) -> None:
        await channel.click(LEAVE, ANNA)
        await channel.click(ROLLBACK, BERT)
        await channel.click(LEAVE, ANNA)
        assert channel.decided == [("leave", "slack:U0ANNA (anna)")]
        first, second, again = channel.answers
        assert "slack:U0ANNA (anna) decided first, at 12:00:00 UTC: leave it." in second
        assert first == again == "Recorded: leave it."

    play(story)


def now_asked(*overridable: str, **changes: Any) -> Ask:
    """The question that came after the one on screen."""
    return ASK.model_copy(update={"digest": "other", "overridable": overridable, **changes})


SCREEN = asking(ask=now_asked("NotAgain/CooldownActive", "StillTrue/PrometheusUnavailable", digest="abc"))


@pytest.mark.parametrize(
    ("now", "decided"),
    [
        # Less speaks against it than the one who clicked had read: what comes and goes overtakes no click.
        ({"ask": now_asked("NotAgain/CooldownActive")}, {ROLLBACK, LEAVE}),
        ({"ask": now_asked()}, {ROLLBACK, LEAVE}),
        # Something that nobody read speaks against rolling back, which is no reason to roll back.
        ({"ask": now_asked("NotAgain/CooldownActive", "StillTrue/NoData")}, {LEAVE}),
        # Another question.
        ({"ask": now_asked(action="ask")}, set()),
        ({"ask": now_asked(), "bad": TARGET}, set()),
        ({"ask": now_asked(), "target": BAD}, set()),
        ({"ask": now_asked(), "answers_spent": 1}, set()),
    ],
)
def test_only_what_matters_overtakes_a_click(now: dict[str, Any], decided: set[str]) -> None:
    for action in (ROLLBACK, LEAVE):

        async def story(channel: Channel, action: str = action) -> None:
            channel.records.incident = asking(**now)
            assert (await channel.click(action)).taken
            names = [each.metadata.name for each in channel.records.decisions.values()]
            # Whatever was on screen, it answers what is asked now, once.
            assert names == ([f"{asking().name}-other"] if action in decided else [])
            if action not in decided:
                assert "The situation has changed" in channel.answers[0]

        play(story, screen=SCREEN)


def test_a_button_of_an_earlier_version_answers_its_own_question_alone() -> None:
    async def story(channel: Channel) -> None:
        value = json.loads(channel.payload()["actions"][0]["value"])
        old = {key: value[key] for key in ("namespace", "incident", "uid", "digest", "choice")}
        channel.records.incident = asking(ask=now_asked())
        await channel.interactions.receive(channel.payload(value=json.dumps(old)))
        assert channel.decided == []
        channel.records.incident = asking()
        await channel.interactions.receive(channel.payload(value=json.dumps(old)))
        assert [choice for choice, _ in channel.decided] == ["rollback"]

    play(story)


@pytest.mark.parametrize(
    ("incident", "answer"),
    [
        (None, "does not exist any more"),
        (asking(ask=now_asked(*ASK.overridable, "StillTrue/NoData")), "The situation has changed"),
        (asking(ask=None), "nothing to decide any more"),
        (asking(phase=Phase.ROLLING_BACK), "nothing to decide any more"),
        (asking(phase=Phase.CLOSED, outcome=Outcome.DECLINED), "is Declined"),
        (asking(ask=ASK.model_copy(update={"expires_at": AT})), "time to decide was over at 12:00:00 UTC"),
        (
            asking().model_copy(update={"metadata": asking().metadata.model_copy(update={"uid": "another"})}),
            "a new one of the same name",
        ),
    ],
)
def test_a_click_on_what_is_over_decides_nothing(incident: Incident | None, answer: str) -> None:
    async def story(channel: Channel) -> None:
        channel.records.incident = incident
        assert (await channel.click(ROLLBACK)).taken
        assert channel.decided == []
        assert answer in channel.answers[0]

    play(story)


@pytest.mark.parametrize("phase", [Phase.VERIFYING, Phase.CLOSED])
def test_what_somebody_wanted_too_late_is_kept_for_everybody(phase: Phase) -> None:
    async def story(channel: Channel) -> None:
        (message,) = channel.desk.slack_inbox.messages
        told = Notifications(slack=SlackState(channel=message.channel, ts=message.ts, digest="d"))
        channel.records.incident = asking(phase=phase, ask=None, notifications=told)
        for _ in range(2):
            await channel.click(ROLLBACK)
        (line,) = channel.records.incident.status.timeline
        assert line.event == "AnswerTooLate"
        assert line.message.startswith("slack:U0ANNA (anna) wanted to roll back: There is nothing to decide")
        # A closed incident's message is not written any more.
        replies = [each.current.text for each in channel.desk.slack_inbox.thread(message)]
        assert replies == ([line.message] if phase is Phase.CLOSED else [])

    play(story)


def test_an_answer_stands_in_the_incident() -> None:
    async def story(channel: Channel) -> None:
        assert (await channel.click(LEAVE)).taken
        assert channel.records.incident is not None
        (line,) = channel.records.incident.status.timeline
        assert (line.event, line.message) == ("Answered", "slack:U0ANNA (anna) decided to leave it.")

    play(story)


def test_an_answer_that_was_overtaken_says_so_instead_of_counting() -> None:
    async def story(channel: Channel) -> None:
        channel.records.meanwhile = asking(phase=Phase.CLOSED, ask=None, outcome=Outcome.RECOVERED)
        await channel.click(ROLLBACK)
        assert channel.answers == ["The incident moved on meanwhile: it is Closed by now."]
        assert channel.records.incident is not None
        (line,) = channel.records.incident.status.timeline
        assert line.event == "AnswerTooLate"

    play(story)


@pytest.mark.parametrize(
    ("action_id", "meanwhile"),
    [
        (ROLLBACK, {"phase": Phase.ROLLING_BACK, "rollback": rollback(by="slack:U0ANNA (anna)")}),
        (LEAVE, {"phase": Phase.CLOSED, "outcome": Outcome.DECLINED}),
    ],
)
def test_an_answer_that_was_followed_at_once_is_none_that_was_overtaken(
    action_id: str, meanwhile: dict[str, Any]
) -> None:
    async def story(channel: Channel) -> None:
        channel.records.meanwhile = asking(ask=None, **meanwhile)
        await channel.click(action_id)
        assert channel.answers[0].startswith("Recorded: ")

    play(story)


def test_who_may_not_decide_writes_nothing_into_an_incident() -> None:
    async def story(channel: Channel) -> None:
        channel.records.incident = asking(phase=Phase.CLOSED, ask=None)
        await channel.click(ROLLBACK, BERT)
        assert channel.records.incident.status.timeline == ()

    play(story, deciders=("U0ANNA",))


def test_the_last_moment_still_counts() -> None:
    async def story(channel: Channel) -> None:
        await channel.desk.clock.sleep((ASK.expires_at - AT - timedelta(seconds=1)).total_seconds())
        await channel.click(ROLLBACK)
        assert len(channel.decided) == 1

    play(story)


def test_only_deciders_decide_where_the_rule_file_names_some() -> None:
    async def story(channel: Channel) -> None:
        await channel.click(ROLLBACK, BERT)
        assert channel.decided == []
        assert channel.answers == ["You may not decide about payment-service. These may: <@U0ANNA>."]
        await channel.click(ROLLBACK, ANNA)
        assert channel.decided == [("rollback", "slack:U0ANNA (anna)")]

    play(story, deciders=("U0ANNA",))


def test_without_a_rule_file_nobody_decides_on_slack() -> None:
    async def story(channel: Channel) -> None:
        await channel.click(ROLLBACK)
        assert channel.decided == []
        assert "No rule file speaks of deployment payments/payment-service" in channel.answers[0]

    play(story, rules=False)


def test_while_kubernetes_is_away_the_click_fails_visibly_and_can_be_repeated() -> None:
    async def story(channel: Channel) -> None:
        channel.records.down = True
        result = await channel.click(ROLLBACK)
        assert (result.status, channel.answers) == (503, [])
        channel.records.down = False
        assert (await channel.click(ROLLBACK)).taken
        assert len(channel.decided) == 1

    play(story)


def test_an_answer_that_does_not_get_through_keeps_the_decision() -> None:
    async def story(channel: Channel) -> None:
        channel.desk.slack_inbox.faults.add(FaultRule("POST", "/actions/", Hang()))
        result = await channel.click(ROLLBACK)
        assert result.taken
        assert result.seconds < 2.5
        assert len(channel.decided) == 1

    play(story)


def test_a_click_without_the_right_signature_never_arrives() -> None:
    async def story(channel: Channel) -> None:
        forger = SlackHands(channel.desk.slack_inbox, "guessed", channel.hands.interactions_url)
        result = await forger.click(channel.desk.slack_inbox.messages[0], ROLLBACK, ANNA)
        assert (result.status, channel.decided) == (401, [])

    play(story)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not json",
        "[]",
        '{"choice":"rollback"}',
        '{"namespace":"payments","incident":"../../secrets","uid":"u","digest":"d","choice":"rollback"}',
        '{"namespace":"pay/ments","incident":"i","uid":"u","digest":"d","choice":"rollback"}',
        '{"namespace":"payments","incident":"i","uid":"u","digest":"D/..","choice":"rollback"}',
        '{"namespace":"payments","incident":"i","uid":"u","digest":"d","choice":"explode"}',
        '{"namespace":"payments","incident":"i","uid":"u","digest":"d","choice":"leave"}',
        '{"namespace":"payments","incident":"i","uid":"u","digest":"d","choice":"rollback","more":1}',
        '{"namespace":1,"incident":"i","uid":"u","digest":"d","choice":"rollback"}',
    ],
)
def test_a_value_that_is_not_ours_decides_nothing(value: str) -> None:
    async def story(channel: Channel) -> None:
        await channel.interactions.receive(channel.payload(value=value))
        assert channel.decided == []
        assert channel.answers == ["This button is broken: decide with kubectl instead."]

    play(story)


def test_other_buttons_and_other_payloads_are_left_alone() -> None:
    async def story(channel: Channel) -> None:
        payload = channel.payload()
        for strange in (
            channel.payload(action_id="somebody.else"),
            {},
            {**payload, "type": "view_submission"},
            {**payload, "actions": []},
            {**payload, "actions": payload["actions"] * 2},
            {**payload, "user": {"id": "<!channel>"}},
            {**payload, "user": None},
        ):
            await channel.interactions.receive(strange)
        assert (channel.decided, channel.answers) == ([], [])

    play(story)


def test_an_answer_never_goes_to_a_strangers_host() -> None:
    async def story(channel: Channel) -> None:
        asked: list[str] = []

        async def listen(request: web.Request) -> web.Response:
            asked.append(request.path)
            return web.Response()

        stranger = web.Application()
        stranger.add_routes([web.post("/steal", listen)])
        async with run_server(stranger) as url:
            await channel.interactions.receive({**channel.payload(), "response_url": f"{url}/steal"})
        assert asked == []
        assert len(channel.decided) == 1

    play(story)
