"""Two Alertmanagers in a storm, as a process of their own: each sends every group twice, at the same time.

Run by the bench: python -m responder.sandbox.bench.senders PLAN, where PLAN is a JSON file. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from responder.clock import Clock, SystemClock
from responder.sandbox.alertmanager.webhook import FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS, RETRY_FACTOR
from responder.sandbox.bench.api import BenchError

_SENDERS = 2
_TIMES = 2
# Alertmanager gives up after a group interval and begins anew with the next: so it goes on, within reason.
_GIVE_UP_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class SendingPlan:
    """Where to send what, spread evenly over so many seconds."""

    url: str
    token: str
    over_seconds: float
    deliveries: list[dict[str, Any]]


@dataclass(slots=True)
class Sent:
    """Seconds from each first try to its acknowledgement, and what was not taken at once or at all."""

    seconds: list[float] = field(default_factory=list)
    tried_again: int = 0
    given_up: int = 0
    refused: list[str] = field(default_factory=list)


async def send_in_a_process(plan: SendingPlan, folder: Path) -> Sent:
    """Send it all from another process, so that nothing here delays it. Raises BenchError."""
    path = folder / "sending.json"
    path.write_text(json.dumps(asdict(plan)), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "responder.sandbox.bench.senders", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise BenchError(f"bench: the senders ended with {process.returncode}; what they wrote is above")
    return Sent(**json.loads(output))


async def send(plan: SendingPlan, clock: Clock) -> Sent:
    """Send every delivery from every sender, each time in the same order."""
    sent = Sent()
    pause = plan.over_seconds / (len(plan.deliveries) * _TIMES)
    bodies = [json.dumps(delivery).encode() for delivery in plan.deliveries]
    loop = asyncio.get_running_loop()
    began = loop.time()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {plan.token}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(headers=headers, connector=connector) as session,
        asyncio.TaskGroup() as group,
    ):
        for number, body in enumerate(bodies * _TIMES):
            await clock.sleep(max(0.0, began + number * pause - loop.time()))
            for _ in range(_SENDERS):
                group.create_task(_deliver(session, plan.url, body, sent, clock))
    return sent


async def _deliver(session: aiohttp.ClientSession, url: str, body: bytes, sent: Sent, clock: Clock) -> None:
    """Post until it is taken, refused for good, or Alertmanager would have given it up."""
    loop = asyncio.get_running_loop()
    first, pause = loop.time(), FIRST_RETRY_SECONDS
    while loop.time() - first < _GIVE_UP_SECONDS:
        status, answer = await _post(session, url, body)
        if status == 200:
            sent.seconds.append(loop.time() - first)
            if json.loads(answer)["refused"]:
                sent.refused.append(answer)
            return
        if 400 <= status < 500:
            sent.refused.append(answer)
            return
        sent.tried_again += 1
        await clock.sleep(pause)
        pause = min(pause * RETRY_FACTOR, MAX_RETRY_SECONDS)
    sent.given_up += 1


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, str]:
    """The answer's status and text; 0 when there was none."""
    try:
        async with session.post(url, data=body) as response:
            return response.status, await response.text()
    except aiohttp.ClientError as error:
        return 0, str(error)


if __name__ == "__main__":
    found = SendingPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps(asdict(asyncio.run(send(found, SystemClock())))))
