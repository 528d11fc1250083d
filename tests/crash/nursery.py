"""Where replicas are forked: a process that has imported everything and runs nothing, so it takes no time.

Each process of the pool has one of its own, forked before it plays its first run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

_NOT_INHERITED = ("RESPONDER_", "KUBECONFIG", "POD_NAMESPACE")
_FIRST_OWN_DESCRIPTOR = 3

# Forked from a server process that has imported what the replicas will need.
POOL = multiprocessing.get_context("forkserver")
PRELOADED = ["tests.crash.preloaded"]
_FORKING = multiprocessing.get_context("fork")

_orders: list[Connection] = []


def open_nursery() -> None:
    """Begin this process's nursery; it ends with this process, and every replica with it."""
    ours, theirs = multiprocessing.Pipe()
    _FORKING.Process(target=_serve_orders, args=(theirs, ours), daemon=True, name="nursery").start()
    theirs.close()
    _orders[:] = [ours]


def fork_replica(environment: Mapping[str, str], log: Path) -> int:
    """Start `responder serve` with these variables and return its process id."""
    return _order((dict(environment), str(log)))


def kill_replica(pid: int) -> None:
    """SIGKILL a replica and return once it is dead."""
    _order(pid)


def _order(order: tuple[dict[str, str], str] | int) -> int:
    (nursery,) = _orders
    nursery.send(order)
    return int(nursery.recv())


def _serve_orders(orders: Connection, theirs: Connection) -> None:
    theirs.close()
    alive: set[int] = set()
    while True:
        try:
            order = orders.recv()
        except EOFError:
            break
        if isinstance(order, int):
            _kill(order)
            alive.discard(order)
            orders.send(order)
            continue
        pid = os.fork()
        if pid == 0:
            _serve(*order)
        alive.add(pid)
        orders.send(pid)
    for pid in alive:
        _kill(pid)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _serve(environment: Mapping[str, str], log: str) -> None:
    """Be the real program from here on; never returns."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(_FIRST_OWN_DESCRIPTOR, os.sysconf("SC_OPEN_MAX"))
    for name in [name for name in os.environ if name.startswith(_NOT_INHERITED)]:
        del os.environ[name]
    os.environ.update(environment)
    sys.argv = ["responder", "serve"]
    # Loaded before, in the server process; named here alone, as tests import this module too.
    from responder.cli.main import main

    try:
        main()
    finally:
        os._exit(1)
