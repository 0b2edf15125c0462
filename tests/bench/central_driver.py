"""Delivers so many reports to plugin central in one process, and says what that took.

    central_driver.py STATE-DIRECTORY OPTIONS-IN-JSON REPORTS

Begins when it is given a line, after it has said "ready". Prints one line of JSON then: `put`,
the seconds until the last report was in the spool; `grown`, the MiB by which the process grew
from the first tenth to the end, when all were taken.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "bed"))
from numbered_reports import numbered
from postkeel.contract import Place
from postkeel_plugins.central import reporter

_LOOK_EVERY = 1000


def memory() -> float:
    """Proportional set size in MiB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LookupError("Pss")


def main(state: str, given: str, count: int) -> None:
    options: dict[str, Any] = {one.name: one.default for one in reporter.keel_card().options}
    options.update(json.loads(given))
    options["collectors"] = tuple(options["collectors"])
    place = Place(state=state, runtime=state)

    def wait(below: float) -> None:
        while (standing := reporter.keel_status(options, place)) and standing.waiting > below:
            time.sleep(0.005)

    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    before = 0.0
    for number in range(1, count + 1):
        reporter.keel_deliver(numbered(number), options, place)
        if number % _LOOK_EVERY == 0:
            wait(options["spool_reports"] * 0.75)
        if number == count // 10:
            before = memory()
    put = time.monotonic() - began
    # By syslog without acknowledgements what was sent stays for a while.
    if options["collectors"][0].startswith("relp"):
        wait(0)
    print(json.dumps({"put": put, "grown": memory() - before}), flush=True)
    sys.stdin.read()  # the sender goes on until it is told to end


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
