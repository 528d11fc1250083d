"""The API server's address with a session: the library's TLS set-up, and its token on every request.

Knows no verbs and tries nothing twice. Made by connection.py, used by transport.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from responder.clients.kubernetes.library import load_library

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

# One line of a watch is one object, of which etcd stores 1.5 MiB at most.
_MAX_LINE_BYTES = 2**21


class Session:
    """Sends requests to one API server as one user.

    In place of the library's ApiClient, which copies each body and looks for proxies in a thread each time.
    """

    def __init__(self, configuration: Configuration, user_agent: str) -> None:
        client, _ = load_library()
        self._configuration = configuration
        self._host = str(configuration.host)
        with_tls: aiohttp.ClientSession = client.rest.RESTClientObject(configuration).pool_manager
        self._session = aiohttp.ClientSession(
            connector=with_tls.connector,
            headers={"User-Agent": user_agent},
            proxy=configuration.proxy or _proxy_for(URL(self._host)),
            read_bufsize=_MAX_LINE_BYTES,
        )
        with_tls.detach()

    async def request(
        self,
        method: str,
        path_and_query: str,
        *,
        headers: dict[str, str],
        data: str | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Send once, with a token that is renewed when it is due; returns when the headers are there."""
        # Asking for it runs the renewal.
        token = (await self._configuration.auth_settings()).get("BearerToken")
        if token is not None:
            headers = {**headers, token["key"]: token["value"]}
        return await self._session.request(
            method,
            self._host + path_and_query,
            headers=headers,
            data=data,
            timeout=timeout,
            server_hostname=self._configuration.tls_server_name,
            proxy_headers=self._configuration.proxy_headers,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _proxy_for(url: URL) -> str | None:
    """The proxy that the environment names for an address, if any."""
    if url.host is None or proxy_bypass(url.host):
        return None
    return getproxies().get(url.scheme)
