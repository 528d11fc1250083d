"""Child processes: waited for, ended by their own id, and quoted when they fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from responder.clock import SystemClock
from responder.sandbox.process import ProcessError, child_process
from responder.sandbox.world import free_port

SERVER = """
import http.server, sys
handler = http.server.SimpleHTTPRequestHandler
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
"""


async def test_it_is_ready_inside_the_block_and_gone_after_it(tmp_path: Path) -> None:
    port = free_port()
    async with child_process(
        [sys.executable, "-c", SERVER, str(port)],
        name="the server",
        ready_url=f"http://127.0.0.1:{port}/",
        log=tmp_path / "log",
        clock=SystemClock(),
        cwd=tmp_path,
    ) as child:
        child.check()
        pid = child.process.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ProcessError, match="the server ended with -15"):
        child.check()


async def test_one_that_ends_early_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="the server ended with 3: no such luck"):
        async with child_process(
            [sys.executable, "-c", "import sys; print('no such luck'); sys.exit(3)"],
            name="the server",
            ready_url=f"http://127.0.0.1:{free_port()}/",
            log=tmp_path / "log",
            clock=SystemClock(),
            cwd=tmp_path,
        ):
            pytest.fail("it never was ready")
