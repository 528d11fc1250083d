"""`python -m responder`: the command line, for whoever has no script of that name on the PATH."""

from __future__ import annotations

from responder.cli import main

if __name__ == "__main__":
    main()
