"""The few parts of kubernetes-asyncio that are used, without the thousand generated ones.

Its packages import every model and every API group of Kubernetes: 60 MB and over a second of processor time,
for what is spoken here in plain dicts. Called by connection.py and session.py, and only to connect.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_NAME = "kubernetes_asyncio"
# Their __init__ modules do nothing but import; the models are for typed answers, which nobody asks for.
_HOLLOW = ("", ".client", ".client.models")


def load_library() -> tuple[Any, Any]:
    """The library's client and config packages, with what connecting takes.

    Where somebody imported the whole library before, that one.
    """
    if _NAME not in sys.modules:
        _import_parts()
    return import_module(f"{_NAME}.client"), import_module(f"{_NAME}.config")


def _import_parts() -> None:
    spec = find_spec(_NAME)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{_NAME} is not installed", name=_NAME)
    root = Path(spec.origin).parent
    for suffix in _HOLLOW:
        package = ModuleType(_NAME + suffix)
        package.__path__ = [str(root.joinpath(*suffix.split(".")))]
        sys.modules[package.__name__] = package
        parent, _, name = package.__name__.rpartition(".")
        if parent:
            setattr(sys.modules[parent], name, package)
    client: Any = sys.modules[f"{_NAME}.client"]
    client.Configuration = _import_configuration().Configuration
    client.rest = import_module(f"{_NAME}.client.rest")
    # The config package names it, for what is not called here; to import it takes longer than all the rest.
    client.ApiClient = None


def _import_configuration() -> Any:
    """Import it without urllib3, which it has for basic authentication: API servers know none any more."""
    name = "urllib3"
    missing = name not in sys.modules
    if missing:
        sys.modules[name] = ModuleType(name)
    try:
        return import_module(f"{_NAME}.client.configuration")
    finally:
        if missing:
            del sys.modules[name]
