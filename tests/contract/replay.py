"""Replays a recorded transcript of a real API server on the sandbox and tells where the answers differ.

Placeholders such as <rv:3> are bound to what the sandbox answers where they first appear; the same one must
stand for the same value ever after, and two of a kind for two values.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from responder.sandbox.api.server import ADMIN_TOKEN
from responder.sandbox.api.store import Store

TRANSCRIPTS = Path(__file__).parents[3] / "shared" / "kubernetes" / "transcripts"
_PLACEHOLDER = re.compile(r"<[a-zA-Z0-9]+(?::\d+)?>")
_FREE = ("<time>", "<microtime>", "<server>", "<age>", "<pem>")
_EMBEDDED = re.compile(r'(.*?Invalid value: )("\{(?:[^"\\]|\\.)*")(: .*)', re.DOTALL)
_FAR_AHEAD = "1000000"


Step = dict[str, Any]


@dataclass(slots=True)
class Replay:
    """One scenario on its way: what each placeholder stands for, and what differed at which step."""

    session: aiohttp.ClientSession
    url: str
    store: Store
    preludes: Mapping[int, Callable[[Store], None]]
    authorizations: Mapping[int, str]
    # A recorded list names more than is served here: compared is what both have, and all that is here.
    abridged: bool = False
    bound: dict[str, str] = field(default_factory=dict)
    differences: dict[int, str] = field(default_factory=dict)
    compared: set[int] = field(default_factory=set)

    async def run(self, steps: list[Step]) -> None:
        """Replay all steps: requests, watches, and the requests that kubectl made."""
        streams: dict[int, list[Any]] = {}
        async with asyncio.TaskGroup() as group:
            readers = []
            for index, step in enumerate(steps):
                if index in self.preludes:
                    self.preludes[index](self.store)
                await self.store.clock.sleep(0.5)
                if "watch" in step:
                    streams[index] = []
                    reader = group.create_task(self._follow(index, step, streams[index]))
                    readers.append(reader)
                    if _ends_soon(step["watch"]):
                        await reader
                        events = streams.pop(index)
                        if index not in self.differences:
                            self._compare_watch(index, step["watch"], events)
                for exchange in [step] if "request" in step else step.get("requests", []):
                    if _is_comparable(exchange):
                        await self._request(index, step, exchange)
            await self.store.clock.sleep(10)
            for reader in readers:
                reader.cancel()
        for index, events in streams.items():
            if index not in self.differences:
                self._compare_watch(index, steps[index]["watch"], events)

    def confused(self) -> set[frozenset[str]]:
        """Placeholders of one kind that came to stand for one value: what was to change did not."""
        found: dict[tuple[str, str], set[str]] = {}
        for placeholder, value in self.bound.items():
            # The version of a list is that of whatever was written last.
            if not placeholder.startswith("<list:"):
                found.setdefault((placeholder.partition(":")[0], value), set()).add(placeholder)
        return {frozenset(names) for names in found.values() if len(names) > 1}

    async def _request(self, index: int, step: Step, exchange: Step) -> None:
        request, expected = exchange["request"], exchange["response"]
        await self._bind_current(request)
        body = request.get("body")
        text = None if body is None else self._filled(body if isinstance(body, str) else json.dumps(body))
        async with self.session.request(
            request["method"],
            self.url + request["path"],
            params=self._query(step, request),
            headers=self._headers(index, step, request),
            data=None if text is None else text.encode(),
            skip_auto_headers=("Content-Type",),
        ) as response:
            answer: Any = await response.text()
            if response.content_type == "application/json":
                answer = json.loads(answer)
            warnings = response.headers.getall("Warning", [])
        headers = expected["headers"]
        self._compare(
            index,
            {"code": expected["status"], "body": expected["body"], "warning": headers.get("warning", [])},
            {"code": response.status, "body": answer, "warning": warnings},
        )

    async def _follow(self, index: int, step: Step, events: list[Any]) -> None:
        watch = step["watch"]
        request = watch["request"]
        async with self.session.get(
            self.url + request["path"],
            params=self._query(step, request),
            headers=self._headers(index, step, request),
        ) as response:
            if response.status != watch["response"]["status"]:
                self.differences[index] = f"status {response.status}"
            async for line in response.content:
                events.append(json.loads(line))

    def _compare_watch(self, index: int, watch: Step, events: list[Any]) -> None:
        wanted = watch["events"]
        if not any(event["type"] == "BOOKMARK" for event in wanted):
            events = [event for event in events if event["type"] != "BOOKMARK"]
        # A watch that its client ended saw what was there until then; here it went on.
        if watch["ended_by"] == "client":
            events = events[: len(wanted)]
        self._compare(index, wanted, events)

    async def _bind_current(self, request: Step) -> None:
        """Bind a version that a body names and no answer has shown: it is the object's present one."""
        named = set(re.findall(r"<rv:\d+>", json.dumps(request.get("body"))))
        for placeholder in named - self.bound.keys():
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            async with self.session.get(self.url + request["path"], headers=headers) as response:
                self.bound[placeholder] = (await response.json())["metadata"].get("resourceVersion", "1")

    def _headers(self, index: int, step: Step, request: Step) -> dict[str, str]:
        agent = {"User-Agent": "kubectl/v1.32.4"} if "kubectl" in step else {}
        headers = {"Accept": "application/json", **_titled(request["headers"]), **agent}
        authorization = self._filled(self.authorizations.get(index, f"Bearer {ADMIN_TOKEN}"))
        return {**headers, "Authorization": authorization} if authorization else headers

    def _query(self, step: Step, request: Step) -> dict[str, str]:
        query = {}
        for name, value in (request.get("query") or {}).items():
            of_list = value.replace("<rv:", "<list:")
            if value.startswith("<rv:") and of_list in self.bound:
                query[name] = self.bound[of_list]
            elif value.startswith("<rv:") and value not in self.bound:
                # No answer has shown this version: one before the scenario, the present, or one to come.
                title = step.get("step", "")
                early, late = "before" in title, "yet to come" in title or "the same for one" in title
                query[name] = "1" if early else _FAR_AHEAD if late else str(self.store.resource_version)
            else:
                query[name] = self._filled(value)
        return query

    def _filled(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self._value(found.group()), text)

    def _value(self, placeholder: str) -> str:
        of_list = placeholder.replace("<rv:", "<list:")
        if placeholder in ("<time>", "<microtime>"):
            return "2026-01-01T00:00:00Z"
        return self.bound.get(placeholder, self.bound.get(of_list, placeholder))

    def _compare(self, index: int, wanted: Any, found: Any) -> None:
        self.compared.add(index)
        # All of them, not only the first: what is equal further down still binds placeholders.
        differences = list(self._differences(wanted, found, ""))
        if differences:
            self.differences.setdefault(index, differences[0])

    def _differences(self, wanted: Any, found: Any, path: str) -> Iterator[str]:
        if wanted == "<fieldsV1>":
            return
        if isinstance(wanted, dict) and isinstance(found, dict):
            if "_items_total" in wanted:
                total = wanted["_items_total"]
                if len(found.get("items", ())) != total:
                    yield f"{path} has {len(found.get('items', ()))} items, should have {total}"
                wanted = {name: item for name, item in wanted.items() if name != "_items_total"}
                found = {**found, "items": found.get("items", [])[: len(wanted["items"])]}
            wanted, found = _comparable(wanted), _comparable(found)
            if "uid" in wanted and "managedFields" not in wanted:
                # Recorded lists and watches leave them out.
                found.pop("managedFields", None)
            if "items" in wanted and "metadata" in wanted:
                # Whether a list's own version is also its last item's hangs on what else was written.
                wanted = {**wanted, "metadata": _list_metadata(wanted["metadata"])}
            for name in sorted(wanted.keys() | found.keys()):
                where = f"{path}.{name}"
                if name not in found:
                    yield f"{where} is missing, should be {_short(wanted[name])}"
                elif name not in wanted:
                    yield f"{where} should not be there, is {_short(found[name])}"
                else:
                    yield from self._differences(wanted[name], found[name], where)
        elif isinstance(wanted, list) and isinstance(found, list):
            if self.abridged:
                wanted, found = _both_name(wanted, found)
            if len(wanted) != len(found):
                yield f"{path} has {len(found)} items, should have {len(wanted)}: {_short(found)}"
            for index, (left, right) in enumerate(zip(wanted, found, strict=False)):
                yield from self._differences(left, right, f"{path}[{index}]")
        elif isinstance(wanted, str) and isinstance(found, str):
            left, right = _EMBEDDED.fullmatch(wanted), _EMBEDDED.fullmatch(found)
            if left and right:
                yield from self._quoted(left, right, path)
            elif "is invalid: [" in wanted:
                # The causes of a custom resource's 422 come in no fixed order.
                if sorted(_pieces(wanted)) != sorted(_pieces(found)):
                    yield f"{path} is {_short(found)}, should be {_short(wanted)}"
            elif not self._matches(wanted, found):
                yield f"{path} is {_short(found)}, should be {_short(wanted)}"
        elif wanted != found or type(wanted) is not type(found):
            yield f"{path} is {_short(found)}, should be {_short(wanted)}"

    def _quoted(self, wanted: re.Match[str], found: re.Match[str], path: str) -> Iterator[str]:
        """Compare messages that quote a whole object: the order of its members is of no account."""
        for part in (1, 3):
            yield from self._differences(wanted[part], found[part], f"{path} part {part}")
        left, right = json.loads(json.loads(wanted[2])), json.loads(json.loads(found[2]))
        yield from self._differences(left, right, f"{path} quoted")

    def _matches(self, wanted: str, found: str) -> bool:
        pattern, names = "", []
        at = 0
        for placeholder in _PLACEHOLDER.finditer(wanted):
            pattern += re.escape(wanted[at : placeholder.start()])
            name = placeholder.group()
            if name in self.bound:
                pattern += re.escape(self.bound[name])
            else:
                pattern += "(.+?)"
                names.append(name)
            at = placeholder.end()
        matched = re.fullmatch(pattern + re.escape(wanted[at:]), found, re.DOTALL)
        if matched is None:
            return False
        self.bound.update({n: v for n, v in zip(names, matched.groups(), strict=True) if n not in _FREE})
        return True


def load_steps(name: str) -> list[Step]:
    """Return the steps of the scenario whose file begins with name."""
    (path,) = TRANSCRIPTS.glob(f"{name}*.json")
    # The recorded server ran under a name of its own.
    steps = json.loads(path.read_text().replace('"manager": "realk8s"', '"manager": "kube-apiserver"'))[
        "steps"
    ]
    assert isinstance(steps, list)
    return steps


def namespaces_of(steps: list[Step]) -> set[str]:
    """Return the namespaces that a scenario finds made."""
    return set(re.findall(r"/namespaces/(rec-[a-z0-9-]+)", json.dumps(steps)))


def _list_metadata(metadata: Step) -> Step:
    if "resourceVersion" not in metadata:
        return metadata
    return {**metadata, "resourceVersion": metadata["resourceVersion"].replace("<rv:", "<list:")}


def _ends_soon(watch: Step) -> bool:
    seconds = int(watch["request"]["query"].get("timeoutSeconds", "60"))
    return watch["ended_by"] == "server" and seconds <= 2


def _is_comparable(exchange: Step) -> bool:
    """Tell whether the recording holds this answer; the version of the recorded build is its own."""
    request, body = exchange["request"], exchange["response"]["body"]
    left_out = isinstance(body, str) and body.startswith("<see ")
    watches = (request.get("query") or {}).get("watch") == "true"
    return not (watches or left_out or request["path"] == "/version")


def _comparable(value: Step) -> Step:
    """Put causes and the managers of fields in order: the recording's own is of no account."""
    result = dict(value)
    if "managedFields" in result:
        result["managedFields"] = sorted(result["managedFields"], key=_manager)
    if "causes" in result:
        result["causes"] = sorted(result["causes"], key=json.dumps)
    return result


def _both_name(wanted: list[Any], found: list[Any]) -> tuple[list[Any], list[Any]]:
    """Cut a recorded list of named things to those that are found, and put these in its order."""
    names = {_name_of(item) for item in found}
    kept = [item for item in wanted if _name_of(item) in names]
    order = [_name_of(item) for item in kept]
    return kept, sorted(
        found, key=lambda item: order.index(_name_of(item)) if _name_of(item) in order else 999
    )


def _name_of(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    own = item.get("name") or item.get("resource") or item.get("subresource") or item.get("version")
    return str(own or (item.get("metadata") or {}).get("name", ""))


def _manager(entry: Step) -> tuple[str, str, str]:
    return entry["manager"], entry["operation"], entry.get("subresource", "")


def _pieces(message: str) -> list[str]:
    return message.replace("is invalid: [", "is invalid, ").removesuffix("]").split(", ")


def _titled(headers: dict[str, str]) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 400 else text[:400] + "..."
