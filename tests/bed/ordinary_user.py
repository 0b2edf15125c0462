"""A command run by somebody who is not root, where this Python and this tree let him."""

from __future__ import annotations

import os
import subprocess
import sys

_NOBODY = "65534"


def run_as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
    """Python with these words, finished; whatever its exit status."""
    command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--"]
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [*command, sys.executable, "-B", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        cwd="/",
    )


def why_not() -> str | None:
    """Why nobody else can run anything here; None when he can."""
    if os.geteuid() != 0:
        return "needs root, to become somebody else"
    if run_as_nobody("-c", "import postkeel, pluggy, cryptography").returncode:
        return "needs a Python and a tree that everybody may read"
    return None
