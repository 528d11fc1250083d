"""Turns a firing alert into a safe, proven rollback, or into a person who knows why it was not done."""

from __future__ import annotations

import sys
from importlib import import_module


def _import_structlog() -> None:
    """Import it without rich, which it takes for tracebacks where it finds it: a fifth of every start.

    Our tracebacks are plain: rich's would show local variables, and with them secrets.
    """
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # that is how Python marks what can't be imported
    try:
        import_module("structlog")
    finally:
        del sys.modules["rich"]


_import_structlog()
