"""The command line: what an operator types. One module a group of commands; main.py puts them together."""

from responder.cli.main import main

__all__ = ["main"]
