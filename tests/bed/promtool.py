"""promtool judges what Prometheus reads: unpacked by packaging/unpack-needs.sh, or installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
_UNPACKED = Path(os.environ.get("POSTKEEL_PROMETHEUS", TOP / "build/prometheus"))


def promtool() -> str | None:
    """Where it is; None where it is not."""
    unpacked = _UNPACKED / "usr/bin/promtool"
    return str(unpacked) if unpacked.exists() else shutil.which("promtool")


WHY_NOT = "no promtool: `bash packaging/unpack-needs.sh prometheus build/prometheus`"


def judged(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """What it says to these words; the caller has seen that it is there."""
    return subprocess.run(
        [promtool() or "promtool", *words],
        input=given,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
