"""Records what Postfix logs in each chapter of `log_forms`, and what was done.

    PYTHONPATH=agent python tests/bed/record_logs.py DIRECTORY

writes DIRECTORY/NAME.log and beside it NAME.json: what whoever reads the log must find.
Needs what `stage.why_not()` says.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path

from log_forms import CHAPTERS, play
from stage import Stage, stage


def main(directory: str) -> None:
    """Record each chapter into files of this directory."""
    names = platform.freedesktop_os_release()
    with stage() as on:
        for chapter in CHAPTERS:
            log, done = play(on, chapter)
            name = f"{names['ID']}-{names.get('VERSION_ID', 'sid')}-{chapter}"
            (Path(directory) / f"{name}.log").write_text(_with_usual_paths(log, on))
            written = json.dumps({"lines": log.count("\n"), **done}, indent=1)
            # One object of a list to a line.
            written = re.sub(r"\n  +(?=[\"}])", " ", written)
            (Path(directory) / f"{name}.json").write_text(f"{written}\n")


def _with_usual_paths(log: str, on: Stage) -> str:
    """The log with Debian's directories in place of the private ones."""
    usual = {"etc": "/etc/postfix", "data": "/var/lib/postfix", "queue": "/var/spool/postfix"}
    for name, path in usual.items():
        log = log.replace(str(on.postfix.directory / name), path)
    return log


if __name__ == "__main__":
    main(sys.argv[1])
