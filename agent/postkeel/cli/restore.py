"""`postkeel restore`: the files as they were before postkeel's first change."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime

from postkeel.cli.opening import instances, open_configuration
from postkeel.cli.render import print_json
from postkeel.core.errors import PostkeelError
from postkeel.shell.correction import RELOAD_SECONDS
from postkeel.shell.dpkg_lock import held_by
from postkeel.shell.holds import Holds
from postkeel.shell.master_process import is_running
from postkeel.shell.originals import Restored, restore
from postkeel.shell.postfix_facts import queue_directory
from postkeel.shell.reload import reload
from postkeel.shell.staging import postconf_accepts

REASON = "restored to the original files"


def main(arguments: Namespace) -> int:
    configuration, _ = open_configuration(arguments)
    holder = held_by()
    if holder is not None:
        raise PostkeelError(f"packages are being installed ({holder}): restore when that is done")
    state = configuration.state_directory
    done = [_restore(directory, state) for directory in instances(arguments)]
    if arguments.format == "json":
        print_json(
            restored=[
                {"config_directory": directory, "files": list(one.files), "kept_in": one.kept_in}
                for directory, one in done
            ]
        )
        return 0
    for directory, one in done:
        if one.files:
            print(f"{directory}: {', '.join(one.files)} as before postkeel's first change")
            print(f"  what was there is kept in {one.kept_in}")
        else:
            print(f"{directory}: the files are the original ones")
        print("  held, so that the agent does not correct them again: `postkeel release` ends that")
    return 0


def _restore(directory: str, state: str) -> tuple[str, Restored]:
    """Hold first: a running agent must not correct what comes back."""
    now = datetime.now(UTC)
    holds = Holds(state)
    before = holds.current(directory, now)
    holds.hold(directory, None, REASON, now)
    try:
        restored = restore(directory, state, now=now, check=postconf_accepts(directory, state))
    except PostkeelError:
        if before is None:
            holds.release(directory)
        raise
    if restored.files and is_running(queue_directory(directory)):
        reload(directory, RELOAD_SECONDS)
    return directory, restored
