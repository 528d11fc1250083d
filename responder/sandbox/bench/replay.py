"""The responder's own requests, bare: the same, in the same order, at the same time where they were.

They are sent about another workload, so names, uids and versions are put in as that one's answers tell them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from responder.sandbox.bench.api import Api, BenchError
from responder.sandbox.bench.recording import Exchange
from responder.tasks import together

OPEN_LABEL = "responder.dev/open"
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def critical_path(exchanges: Sequence[Exchange], since: float) -> tuple[Exchange, ...]:
    """What was asked about a workload from an instant on until its Deployment's patch was accepted."""
    undo = next(
        each
        for each in exchanges
        if each.started >= since
        and each.method == "PATCH"
        and "/deployments/" in each.path
        and "dryRun" not in each.path
    )
    return tuple(
        each
        for each in exchanges
        if each.started >= since and each.ended <= undo.ended and "/leases" not in each.path
    )


def sequential_round_trips(exchanges: Sequence[Exchange]) -> int:
    """The longest chain of requests of which each began after the one before had ended."""
    depths: dict[int, int] = {}
    for index, each in enumerate(exchanges):
        depths[index] = 1 + max((depths[other] for other in _before(exchanges, each)), default=0)
    return max(depths.values())


def _before(exchanges: Sequence[Exchange], each: Exchange) -> Iterator[int]:
    """The requests that had ended when this one began."""
    return (index for index, other in enumerate(exchanges) if other.ended <= each.started)


class Replay:
    """One run of recorded requests about another workload's namespace.

    Rehearsed first, off the clock, so that a run does nothing but send and read. In it only the answer to a
    creation is parsed: later requests repeat the uid and the version of the new object.
    """

    def __init__(self, api: Api, exchanges: Sequence[Exchange], recorded: str, namespace: str) -> None:
        self._api = api
        self._exchanges = exchanges
        self._known = {recorded: namespace}
        self._requests = [(each.path, _unmarked(each.body)) for each in exchanges]
        self._before = [tuple(_before(exchanges, each)) for each in exchanges]
        self._ended = [asyncio.Event() for _ in exchanges]

    async def rehearse(self) -> None:
        """Send the reads, in turn, and put what they tell into the requests of the run."""
        for exchange in self._exchanges:
            if exchange.method == "GET":
                status, content = await self._exchange(exchange, self._translate(exchange.path), "")
                if status == exchange.status:
                    self._learn(exchange.answer, json.loads(content))
        self._requests = [(self._translate(path), self._translate(body)) for path, body in self._requests]
        self._known.clear()

    async def run(self) -> None:
        """Send them all. Raises BenchError when one is answered otherwise than it was."""
        async with together() as group:
            for index in range(len(self._exchanges)):
                group.create_task(self._send(index))

    async def _send(self, index: int) -> None:
        exchange = self._exchanges[index]
        for before in self._before[index]:
            await self._ended[before].wait()
        path, body = (self._translate(text) for text in self._requests[index])
        status, content = await self._exchange(exchange, path, body)
        if status != exchange.status:
            raise BenchError(
                f"bench: the replayed {exchange.method} {exchange.path} was answered {status},"
                f" not {exchange.status}: {content[:500]!r}"
            )
        if exchange.method == "POST":
            self._learn(exchange.answer, json.loads(content))
        self._ended[index].set()

    async def _exchange(self, exchange: Exchange, path: str, body: str) -> tuple[int, bytes]:
        async with self._api.session.request(
            exchange.method,
            self._api.url + path,
            data=body or None,
            headers={"Content-Type": exchange.content_type},
        ) as answer:
            return answer.status, await answer.read()

    def _translate(self, text: str) -> str:
        for recorded, here in self._known.items():
            text = text.replace(recorded, here)
        return text

    def _learn(self, recorded: Any, here: Any) -> None:
        """Note which uid and version here stands for which recorded one."""
        if isinstance(recorded, dict) and isinstance(here, dict):
            for key in recorded.keys() & here.keys():
                if key == "resourceVersion":
                    if "uid" not in recorded:  # a list's: by chance also the version of its newest object
                        continue
                    self._known[f'"resourceVersion": "{recorded[key]}"'] = f'"resourceVersion": "{here[key]}"'
                else:
                    self._learn(recorded[key], here[key])
        elif isinstance(recorded, list) and isinstance(here, list):
            for one, other in zip(recorded, here, strict=False):
                self._learn(one, other)
        elif isinstance(recorded, str) and recorded != here and _UID.fullmatch(recorded):
            self._known[recorded] = str(here)


def _unmarked(body: str) -> str:
    """Without the mark of an open incident: the responder that stands by would work on the replay's."""
    return body.replace(f'"{OPEN_LABEL}": "true"', f'"{OPEN_LABEL}": "none"')
