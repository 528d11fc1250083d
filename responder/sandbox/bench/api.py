"""The API server without a client library: plain aiohttp, as bare as a request can be.

Sets the scene of a bench, watches it, and replays requests. Not for the responder, which has its own client.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import load_kube_config

from responder.errors import ResponderError

Object = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
_JSON = "application/json"
# Longer than a rollout of a bench takes; the server ends the stream cleanly.
_WATCH_SECONDS = 3600
_MAX_LINE_BYTES = 2**24


class BenchError(ResponderError):
    """A bench can't go on; the message says at what."""


class Api:
    """An API server and a session that may do everything there."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def request(
        self, method: str, path: str, body: Object | None = None, *, content_type: str = _JSON
    ) -> Object:
        """Send once and return the answer. Raises BenchError for a code of 400 and above."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self.session.request(method, self.url + path, data=data, headers=headers) as response:
            text = await response.text()
        if response.status >= 400:
            raise BenchError(f"bench: {method} {path} was answered {response.status}: {text[:500]}")
        found: Object = json.loads(text)
        return found

    async def exists(self, path: str) -> bool:
        """Whether there is an object at that path."""
        async with self.session.get(self.url + path) as response:
            return response.status == 200

    async def items(self, path: str) -> list[Object]:
        """A collection, unpaged."""
        return list((await self.request("GET", path))["items"] or [])

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Object]:
        """Every event from now on, what is there first."""
        parameters = {**query, "watch": "1", "timeoutSeconds": str(_WATCH_SECONDS)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with self.session.get(self.url + path, params=parameters, timeout=timeout) as response:
            async for line in response.content:
                yield json.loads(line)


@asynccontextmanager
async def open_api(kubeconfig: Path) -> AsyncIterator[Api]:
    """A session with the kubeconfig's address and credentials."""
    configuration = Configuration()
    await load_kube_config(
        config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
    )
    headers = {"Accept": _JSON}
    token = await configuration.get_api_key_with_prefix("BearerToken")
    if token:
        headers["Authorization"] = token
    connector = aiohttp.TCPConnector(limit=0, ssl=_tls(configuration))
    async with aiohttp.ClientSession(
        headers=headers, connector=connector, read_bufsize=_MAX_LINE_BYTES
    ) as session:
        yield Api(session, str(configuration.host).rstrip("/"))


def _tls(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
