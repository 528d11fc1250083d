"""The API over HTTP: what clients see, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

import aiohttp
import pytest

from responder.sandbox.api.faults import Delay, DropAfter, DropBefore, Effect, FaultRule, Hang, Late, Refuse
from responder.sandbox.api.server import ADMIN_TOKEN, kubeconfig
from responder.sandbox.api.store import Object, Store
from tests.shared import run_story
from tests.unit.sandbox.api.client import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Client, serving

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
ONE = f"{DEPLOYMENTS}/payment-service"

MakeStore = Callable[[], Store]
MakeObject = Callable[..., Object]


def test_rolling_back_by_a_guarded_json_patch(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            created = (await client.ask("POST", DEPLOYMENTS, make_deployment())).body
            template = created["spec"]["template"]
            template["spec"]["containers"][0]["image"] = "registry.example/app:0"
            guarded = [
                {"op": "test", "path": "/metadata/uid", "value": created["metadata"]["uid"]},
                {"op": "test", "path": "/metadata/labels/fence", "value": None},
                {"op": "add", "path": "/metadata/labels/fence", "value": "1"},
                {"op": "replace", "path": "/spec/template", "value": template},
                {"op": "replace", "path": "/metadata/annotations", "value": {}},
            ]
            first = await client.ask("PATCH", ONE, guarded, content_type=JSON_PATCH)
            assert (first.status, first.body["metadata"]["generation"]) == (200, 2)
            assert first.body["spec"]["template"] == template
            again = await client.ask("PATCH", ONE, guarded, content_type=JSON_PATCH)
            assert (again.status, again.body["details"]) == (422, {})
            writes = [(record.method, record.status) for record in client.server.log.writes(ONE)]
            assert writes == [("PATCH", 200)]

    run_story(story())


def test_lists_and_single_objects_differ_in_kind(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            listed = (await client.ask("GET", DEPLOYMENTS)).body
            assert listed["kind"] == "DeploymentList"
            assert "kind" not in listed["items"][0]
            assert (await client.ask("GET", ONE)).body["kind"] == "Deployment"
            everywhere = (await client.ask("GET", "/apis/apps/v1/deployments")).body
            assert len(everywhere["items"]) == 1
            assert (await client.ask("GET", DEPLOYMENTS, limit="-1")).body["items"] == listed["items"]
            assert (await client.ask("GET", DEPLOYMENTS, limit="few")).status == 400

    run_story(story())


def test_pages_show_one_version(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            for name in ("a", "c", "e"):
                await client.ask("POST", DEPLOYMENTS, make_deployment(name))
            first = (await client.ask("GET", DEPLOYMENTS, limit="2")).body
            await client.ask("POST", DEPLOYMENTS, make_deployment("d"))
            await client.ask("DELETE", f"{DEPLOYMENTS}/e")
            token = first["metadata"]["continue"]
            second = (await client.ask("GET", DEPLOYMENTS, **{"limit": "2", "continue": token})).body
            assert [item["metadata"]["name"] for item in first["items"]] == ["a", "c"]
            assert [item["metadata"]["name"] for item in second["items"]] == ["e"]
            assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
            history = client.server.store.history
            history.compact(client.server.store.resource_version)
            expired = await client.ask("GET", DEPLOYMENTS, **{"limit": "2", "continue": token})
            assert (expired.status, expired.body["reason"]) == (410, "Expired")
            token = expired.body["metadata"]["continue"]
            rest = (await client.ask("GET", DEPLOYMENTS, **{"limit": "2", "continue": token})).body
            assert [item["metadata"]["name"] for item in rest["items"]] == ["d"]

    run_story(story())


def test_a_watch_translates_for_its_selector(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            start = str(client.server.store.resource_version)
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            for team in ("payments", "other"):
                patch = {"metadata": {"labels": {"team": team}}}
                await client.ask("PATCH", ONE, patch, content_type=MERGE_PATCH)
            query = {"resourceVersion": start, "timeoutSeconds": "1", "labelSelector": "team=payments"}
            events = await client.watch(DEPLOYMENTS, **query)
            teams = [(kind, obj["metadata"]["labels"]["team"]) for kind, obj in events]
            assert teams == [("ADDED", "payments"), ("DELETED", "payments")]
            version = int(events[1][1]["metadata"]["resourceVersion"])
            assert version == client.server.store.resource_version

    run_story(story())


def test_a_watch_begins_with_what_exists_and_says_when_that_is_over(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            events = await client.watch(
                DEPLOYMENTS,
                sendInitialEvents="true",
                resourceVersionMatch="NotOlderThan",
                allowWatchBookmarks="true",
                timeoutSeconds="1",
            )
            assert [kind for kind, _ in events] == ["ADDED", "BOOKMARK"]
            assert events[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    run_story(story())


def test_a_watch_for_no_number_of_seconds_is_400(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            answer = await client.ask("GET", DEPLOYMENTS, watch="1", timeoutSeconds="abc")
            assert answer.status == 400, answer.body
            assert 'strconv.ParseInt: parsing "abc"' in answer.body["message"]

    run_story(story())


def test_a_watch_from_forgotten_history_is_200_with_a_410_inside(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            client.server.store.history.compact(client.server.store.resource_version)
            ((kind, error),) = await client.watch(DEPLOYMENTS, resourceVersion="1")
            assert (kind, error["code"], error["reason"]) == ("ERROR", 410, "Expired")

    run_story(story())


def test_changes_reach_a_watch_that_is_open_and_bookmarks_come_each_minute(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client, asyncio.TaskGroup() as group:
            version = str(client.server.store.resource_version)
            query = {"resourceVersion": version, "timeoutSeconds": "150", "allowWatchBookmarks": "true"}
            watching = group.create_task(client.watch(DEPLOYMENTS, **query))
            await client.server.store.clock.sleep(70)
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            await client.ask("DELETE", ONE)
            kinds = [kind for kind, _ in await watching]
            assert kinds == ["BOOKMARK", "ADDED", "DELETED", "BOOKMARK", "BOOKMARK"]

    run_story(story())


@pytest.mark.parametrize(
    ("token", "path", "status", "words"),
    [
        ("", DEPLOYMENTS, 403, 'User "system:anonymous" cannot list resource "deployments"'),
        ("nobody", DEPLOYMENTS, 401, "Unauthorized"),
        ("limited", DEPLOYMENTS, 200, ""),
        ("limited", f"{DEPLOYMENTS}/nobody", 404, "not found"),
        ("limited", f"{ONE}/scale", 403, 'cannot get resource "deployments/scale"'),
        ("limited", "/apis/apps/v1/deployments", 403, "at the cluster scope"),
        ("limited", "/api/v1/namespaces/default/pods", 403, 'in API group "" in the namespace "default"'),
        ("", "/healthz", 200, ""),
        ("", "/apis", 403, 'cannot get path "/apis"'),
    ],
)
def test_roles_decide_what_a_token_may(
    make_store: MakeStore, token: str, path: str, status: int, words: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            rule = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}
            binding = {
                "metadata": {"name": "reader"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                "subjects": [{"kind": "User", "name": "limited"}],
            }
            rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
            await client.ask("POST", f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
            await client.ask("POST", f"{rbac}/rolebindings", binding)
            answer = await client.ask("GET", path, token=token)
            assert answer.status == status
            assert words in json.dumps(answer.body).replace('\\"', '"')

    run_story(story())


LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


async def grant(client: Client, **rule: list[str]) -> None:
    """Let the bearer of "limited" do this with leases."""
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    binding = {
        "metadata": {"name": "some"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"},
        "subjects": [{"kind": "User", "name": "limited"}],
    }
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], **rule}]
    await client.ask("POST", f"{rbac}/roles", {"metadata": {"name": "some"}, "rules": rules})
    await client.ask("POST", f"{rbac}/rolebindings", binding)


@pytest.mark.parametrize(
    ("verbs", "status"), [(["update", "patch"], 403), (["update", "patch", "create"], 201)]
)
def test_who_makes_something_by_an_update_or_an_apply_must_be_allowed_to_create(
    make_store: MakeStore, verbs: list[str], status: int
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await grant(client, verbs=verbs)
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}}
            answer = await client.ask("PUT", f"{LEASES}/a", lease, token="limited")
            assert answer.status == status, answer.body
            lease["metadata"] = {"name": "b"}
            options = {"token": "limited", "content_type": APPLY_PATCH, "fieldManager": "m"}
            answer = await client.ask("PATCH", f"{LEASES}/b", lease, **options)
            assert answer.status == status, answer.body
            if status == 403:
                assert answer.body["message"].startswith('leases.coordination.k8s.io "b" is forbidden')
                assert (await client.ask("GET", LEASES)).body["items"] == []

    run_story(story())


def test_a_right_to_one_name_allows_a_list_of_that_name(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await grant(client, verbs=["list", "watch"], resourceNames=["a"])
            for selector, status in (("metadata.name=a", 200), ("metadata.name=b", 403), ("", 403)):
                query = {"fieldSelector": selector} if selector else {}
                answer = await client.ask("GET", LEASES, token="limited", **query)
                assert answer.status == status, answer.body
                query |= {"watch": "1", "timeoutSeconds": "1"}
                assert (await client.ask("GET", LEASES, token="limited", **query)).status == status

    run_story(story())


def test_one_may_ask_what_one_may(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            review = {
                "spec": {"resourceAttributes": {"verb": "get", "group": "apps", "resource": "deployments"}}
            }
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            for token, allowed in ((ADMIN_TOKEN, True), ("limited", False)):
                answer = await client.ask("POST", path, review, token=token)
                assert (answer.status, answer.body["status"]["allowed"]) == (201, allowed)

    run_story(story())


def test_scale_is_a_resource_of_its_own(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            patch = {"spec": {"replicas": 4}}
            scaled = await client.ask("PATCH", f"{ONE}/scale", patch, content_type=MERGE_PATCH)
            assert (scaled.body["kind"], scaled.body["spec"]) == ("Scale", {"replicas": 4})
            assert scaled.body["status"]["selector"] == "app=payment-service"
            assert (await client.ask("GET", ONE)).body["spec"]["replicas"] == 4
            odd = await client.ask(
                "PATCH", f"{ONE}/scale", {"spec": {"replicas": 9}}, content_type="text/plain"
            )
            assert odd.status == 415
            assert (await client.ask("GET", ONE)).body["spec"]["replicas"] == 4

    run_story(story())


@pytest.mark.parametrize(
    ("lease", "status", "words"),
    [
        ({"renewTime": "2026-01-01T00:00:00.000000Z"}, 201, ""),
        ({"renewTime": "2026-01-01T00:00:00Z"}, 400, 'cannot parse \\"Z\\" as \\".000000\\"'),
        ({"renewTime": "2026-01-01T00:00:00.123Z"}, 400, "parsing time"),
        ({"leaseDurationSeconds": 0}, 422, "must be greater than 0"),
        ({"leaseDurationSeconds": "15"}, 400, "cannot unmarshal string into Go struct field"),
    ],
)
def test_a_leases_times_need_six_digits(
    make_store: MakeStore, lease: Object, status: int, words: str
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            body = {"metadata": {"name": "a"}, "spec": lease}
            path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
            answer = await client.ask("POST", path, body)
            assert answer.status == status
            assert words in json.dumps(answer.body)

    run_story(story())


def test_unknown_fields_are_dropped_and_warned_of(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            answer = await client.ask("POST", DEPLOYMENTS, make_deployment(odd=1))
            assert answer.status == 201
            assert "odd" not in answer.body["spec"]
            assert answer.headers["Warning"] == '299 - "unknown field \\"spec.odd\\""'
            strict = await client.ask(
                "POST", DEPLOYMENTS, make_deployment("b", odd=1), fieldValidation="Strict"
            )
            assert strict.status == 400

    run_story(story())


def test_custom_resources_have_their_ways(make_store: MakeStore, definition: Object) -> None:
    async def story() -> None:
        async with serving(make_store(), definition) as client:
            path = "/apis/example.dev/v1/namespaces/default/alarms"
            alarm = {"metadata": {"name": "a"}, "spec": {"target": "x"}}
            created = await client.ask("POST", path, alarm)
            assert created.body["kind"] == "Alarm"
            strategic = "application/strategic-merge-patch+json"
            assert (await client.ask("PATCH", f"{path}/a", {}, content_type=strategic)).status == 415
            patch = {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Open"}}
            written = await client.ask("PATCH", f"{path}/a/status", patch, content_type=MERGE_PATCH)
            assert written.body["status"] == {"phase": "Open"}
            assert "labels" not in written.body["metadata"]
            listed = await client.ask("GET", path, fieldSelector="spec.severity=low")
            assert [item["kind"] for item in listed.body["items"]] == ["Alarm"]
            assert (await client.ask("GET", path, fieldSelector="spec.target=x")).status == 400
            names = (await client.ask("GET", "/apis/example.dev/v1")).body["resources"]
            assert [entry["name"] for entry in names] == ["alarms", "alarms/status"]
            del created.body["metadata"]["resourceVersion"]
            assert (await client.ask("PUT", f"{path}/a", created.body)).status == 422

    run_story(story())


def test_events_are_one_in_both_groups(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            event = {
                "metadata": {"name": "a"},
                "involvedObject": {"kind": "Deployment", "name": "x", "namespace": "default"},
                "reason": "RolledBack",
                "message": "back to revision 1",
            }
            await client.ask("POST", "/api/v1/namespaces/default/events", event)
            newer = (await client.ask("GET", "/apis/events.k8s.io/v1/namespaces/default/events/a")).body
            assert (newer["apiVersion"], newer["note"]) == ("events.k8s.io/v1", "back to revision 1")
            assert newer["regarding"]["name"] == "x"

    run_story(story())


@pytest.mark.parametrize(
    ("effect", "status", "applied"),
    [
        (Refuse(429, retry_after_seconds=1), 429, False),
        (Refuse(500), 500, False),
        (Refuse(500, after_effect=True), 500, True),
        (Delay(20), 200, True),
        (DropBefore(), None, False),
        (DropAfter(), None, True),
        (Hang(), None, False),
        (Hang(after_effect=True), None, True),
    ],
)
def test_faults_strike_once_before_or_after_the_effect(
    make_store: MakeStore, make_deployment: MakeObject, effect: Effect, status: int | None, applied: bool
) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            client.server.faults.add(FaultRule("PATCH", r"/deployments/payment-service$", effect, count=1))
            patch = {"spec": {"replicas": 7}}
            started = asyncio.get_running_loop().time()
            answer = None
            try:
                async with asyncio.timeout(60):
                    answer = await client.ask("PATCH", ONE, patch, content_type=MERGE_PATCH)
            except (aiohttp.ClientError, TimeoutError):
                assert status is None
            if answer is not None:
                assert answer.status == status
                assert answer.headers.get("Retry-After") == ("1" if status == 429 else None)
            if isinstance(effect, Delay):
                assert asyncio.get_running_loop().time() - started >= 20
            found = (await client.ask("GET", ONE)).body
            assert (found["spec"]["replicas"] == 7) is applied
            assert len(client.server.faults.taken) == 1
            assert (await client.ask("PATCH", ONE, patch, content_type=MERGE_PATCH)).status == 200

    run_story(story())


def test_a_late_request_takes_effect_when_nobody_waits_for_it_any_more(
    make_store: MakeStore, make_deployment: MakeObject
) -> None:
    async def story() -> None:
        store = make_store()
        async with serving(store) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            client.server.faults.add(FaultRule("PATCH", r"/deployments/payment-service$", Late(60), count=2))
            for patch in ({"spec": {"replicas": 7}}, {"spec": {"replicas": -1}}):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(20):
                        await client.ask("PATCH", ONE, patch, content_type=MERGE_PATCH)
            assert (await client.ask("GET", ONE)).body["spec"]["replicas"] != 7
            await store.clock.sleep(60)
            # The second is refused, as it would be in time, and nobody hears of that.
            assert (await client.ask("GET", ONE)).body["spec"]["replicas"] == 7

    run_story(story())


@pytest.mark.parametrize(
    ("effect", "status"),
    [
        (DropAfter(), 0),
        (Hang(after_effect=True), 0),
        (Refuse(500, after_effect=True), 500),
        (Refuse(504, after_effect=True), 504),
        (Late(60), 0),
    ],
)
def test_the_log_knows_of_a_write_whose_answer_was_lost(
    make_store: MakeStore, make_deployment: MakeObject, effect: Effect, status: int
) -> None:
    """The judge goes by what took effect, not by what its client was told, and each counts once."""

    async def story() -> None:
        store = make_store()
        async with serving(store) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            client.server.faults.add(FaultRule("PATCH", ONE, effect, count=2))
            for replicas in (7, -1):
                patch = {"spec": {"replicas": replicas}}
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with asyncio.timeout(20):
                        await client.ask("PATCH", ONE, patch, content_type=MERGE_PATCH)
            if isinstance(effect, Late):
                # Nothing has happened yet.
                assert client.server.log.writes(ONE) == []
                await store.clock.sleep(60)
            (write,) = client.server.log.writes(ONE)
            assert (write.status, write.effect, write.body) == (status, 200, {"spec": {"replicas": 7}})

    run_story(story())


@pytest.mark.parametrize(
    ("effect", "ends"),
    [(DropAfter(), "dropped"), (DropBefore(), "dropped"), (Hang(after_effect=True), "silent")],
)
def test_watches_can_be_cut_off_or_fall_silent(make_store: MakeStore, effect: Effect, ends: str) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            # The client sends a GET again, without a word, when a connection breaks before the answer.
            count = 2 if isinstance(effect, DropBefore) else 1
            client.server.faults.add(FaultRule("GET", r"[?&]watch=1", effect, count))
            if ends == "dropped":
                with pytest.raises(aiohttp.ClientError):
                    await client.watch(DEPLOYMENTS, timeoutSeconds="1")
            else:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(300):
                        await client.watch(DEPLOYMENTS, timeoutSeconds="1")
            assert await client.watch(DEPLOYMENTS, timeoutSeconds="1") == []

    run_story(story())


def test_the_log_tells_who_asked_for_what(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            await client.ask("POST", DEPLOYMENTS, make_deployment(), dryRun="All")
            await client.ask("POST", DEPLOYMENTS, make_deployment())
            await client.ask("GET", ONE, token="nobody")
            first, second, third = client.server.log
            assert (first.user, first.method, first.path, first.status) == ("admin", "POST", DEPLOYMENTS, 201)
            assert (first.dry_run, second.dry_run) == (True, False)
            assert second.body["kind"] == "Deployment"
            assert (third.status, third.body) == (401, None)
            assert client.server.log.writes() == [second]

    run_story(story())


def test_a_body_that_is_too_large_is_refused(make_store: MakeStore, make_deployment: MakeObject) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            manifest = make_deployment()
            manifest["metadata"]["annotations"] = {"a": "x" * (3 * 1024 * 1024)}
            answer = await client.ask("POST", DEPLOYMENTS, manifest)
            assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")

    run_story(story())


def test_what_etcd_does_not_take_is_refused(make_store: MakeStore) -> None:
    async def story() -> None:
        async with serving(make_store()) as client:
            maps = "/api/v1/namespaces/default/configmaps"
            half = {"metadata": {"name": "large"}, "data": {"a": "x" * 2**20}}
            assert (await client.ask("POST", maps, half)).status == 201
            patch = {"data": {"b": "y" * 2**20}}
            answer = await client.ask("PATCH", f"{maps}/large", patch, content_type=MERGE_PATCH)
            assert (answer.status, answer.body["message"]) == (500, "etcdserver: request is too large")
            assert "reason" not in answer.body
            assert "b" not in (await client.ask("GET", f"{maps}/large")).body["data"]

    run_story(story())


def test_the_kubeconfig_names_server_and_token() -> None:
    config = kubeconfig("http://127.0.0.1:1", token="secret")
    assert config["clusters"][0]["cluster"]["server"] == "http://127.0.0.1:1"
    assert config["users"][0]["user"] == {"token": "secret"}
