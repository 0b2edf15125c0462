"""The command line. Each command is a module of its own, imported when it is asked for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 as wanted, 2 findings or changes pending, 1 error."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"]):
        from postkeel import __version__

        print(f"postkeel {__version__}")
        return 0
    # A command ends before there is garbage worth collecting; the agent switches it on again.
    gc.disable()
    from postkeel.cli.dispatch import run

    return run(words)
