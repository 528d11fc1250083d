"""The port that is promised to the responder long before it listens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from responder.sandbox.demo.stage import reserve_port


async def test_areserve_port_goes_to_the_one_who_asks_for_it() -> None:
    with reserve_port() as port:
        async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port) as server:
            assert server.sockets[0].getsockname()[1] == port


def test_nobody_else_gets_a_reserved_port() -> None:
    with reserve_port() as port, socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
