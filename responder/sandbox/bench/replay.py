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

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def critical_path(exchanges: Sequence[Exchange], since: float) -> tuple[Exchange, ...]:
    """What was asked about a workload from an instant on until its Deployment's patch was accepted."""
    undo = next(
        each
        for each in exchanges
        if each.started >= since and each.method == "PATCH" and "/deployments/" in each.path
    )
    return tuple(each for each in exchanges if each.started >= since and each.ended <= undo.ended)


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
    """One run of recorded requests about another workload's namespace."""

    def __init__(self, api: Api, exchanges: Sequence[Exchange], recorded: str, namespace: str) -> None:
        self._api = api
        self._exchanges = exchanges
        self._known = {recorded: namespace}
        self._ended = [asyncio.Event() for _ in exchanges]

    async def run(self) -> None:
        """Send them all. Raises BenchError when one is answered otherwise than it was."""
        async with together() as group:
            for index in range(len(self._exchanges)):
                group.create_task(self._send(index))

    async def _send(self, index: int) -> None:
        exchange = self._exchanges[index]
        for before in _before(self._exchanges, exchange):
            await self._ended[before].wait()
        body = self._translate(exchange.body)
        async with self._api.session.request(
            exchange.method,
            self._api.url + self._translate(exchange.path),
            data=body or None,
            headers={"Content-Type": exchange.content_type},
        ) as answer:
            content = await answer.read()
        if answer.status != exchange.status:
            raise BenchError(
                f"bench: the replayed {exchange.method} {exchange.path} was answered {answer.status},"
                f" not {exchange.status}: {content[:500]!r}"
            )
        self._learn(exchange.answer, json.loads(content))
        self._ended[index].set()

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
