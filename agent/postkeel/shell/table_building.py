"""Makes an indexed table of keys and certificates anew: the whole table, or none.

`postmap -F` empties the table that is there before it fills it again, and of a file that it
cannot read it says a warning, leaves the name out, and ends with 0. So it works in a private
directory beside the table; only a table without gaps is renamed into place. Postfix's processes
that have the old one open go on with it, see that it has lost its name, and end before they
serve another client (dict_changed_name).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.core.text import one_line
from postkeel.shell.command import find_program, run
from postkeel.shell.config_file import (
    LARGEST,
    ConfigFile,
    cool,
    explained,
    give_owner,
    real_path,
    sync_directory,
)
from postkeel.shell.whole_file import read_whole

DEADLINE = 20.0
_SUFFIXES = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
_LEFT_OUT = "skipping this entry"
_SOURCE = "table"
_ATTEMPTS = 3


def build(table: str, config_directory: str) -> None:
    """Make this table ("hash:/etc/postfix/sni") anew from its source, `/etc/postfix/sni`.

    The new one has the old one's owner and mode; without an old one it is for root alone, for
    it holds private keys. What a crash leaves is one directory, named like the table with
    ".postkeel" behind it, which the next call removes.

    Diagnostics: PostkeelError with postmap's words; the old table is then as it was.
    Security: of a source that is another user's, postmap would read the keys as that user; it
    is refused, as who owns it would decide which files of root's Postfix loads.
    """
    kind, _, source = table.removeprefix("proxy:").partition(":")
    if kind not in _SUFFIXES:
        kinds = ", ".join(_SUFFIXES)
        raise PostkeelError(
            f"{table}: only tables of the types {kinds} are built; run: postmap -F {table}"
        )
    index = real_path(source + _SUFFIXES[kind])
    place = f"{index}.postkeel"
    try:
        for _ in range(_ATTEMPTS):
            before = _identity(source)
            _prepare(place, source, config_directory)
            _run_postmap(kind, place, source)
            _put(f"{place}/{_SOURCE}{_SUFFIXES[kind]}", index)
            # Somebody may have edited the source, and run postmap on a table that is gone.
            if _identity(source) == before:
                return
    except OSError as error:
        raise PostkeelError(f"{table}: not built: {explained(error, index)}") from error
    finally:
        with suppress(OSError):  # what led here says more; the next call tries again
            _remove(place)
    raise PostkeelError(f"{source}: is written all the time; run: postmap -F {table}")


def _identity(source: str) -> tuple[int, ...]:
    status = os.stat(source)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise PostkeelError(
            f"{source}: no table is built from what is not a file of root's; "
            f"run: chown root {source}"
        )
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _prepare(place: str, source: str, config_directory: str) -> None:
    """The private directory: the source, and a main.cf that postmap reads without waiting."""
    _remove(place)
    os.mkdir(place, 0o700)
    os.symlink(os.path.abspath(source), f"{place}/{_SOURCE}")
    main_cf = os.path.join(config_directory, "main.cf")
    content = read_whole(main_cf, limit=LARGEST)
    if content is None:
        raise PostfixError(f"{main_cf}: there is none, so no table is built")
    with open(f"{place}/main.cf", "xb") as file:
        file.write(content)
        file.flush()
        cool(file.fileno())


def _run_postmap(kind: str, place: str, source: str) -> None:
    made = f"{place}/{_SOURCE}"
    # -o: not as the group of the source, which takes a capability that the service has not.
    argv = [find_program("postmap"), "-c", place, "-o", "-F", f"{kind}:{made}"]
    answer = run(argv, DEADLINE)
    said = [line.replace(made, source).strip() for line in answer.stderr.splitlines()]
    left_out = [line for line in said if line.endswith(_LEFT_OUT)]
    if answer.status != 0 or left_out:
        words = "; ".join(line.partition(": ")[2] for line in left_out or said)
        raise PostfixError(
            f"{kind}:{source}: not built, the table stays as it was; postmap says: "
            f"{one_line(words or f'nothing, and ends with {answer.status}', 400)}"
        )


def _put(made: str, index: str) -> None:
    """Give the new table the old one's owner, mode and name, down to the disk."""
    descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mode = 0o600
        with suppress(FileNotFoundError):
            old = os.stat(index)
            mode = stat.S_IMODE(old.st_mode)
            shape = ConfigFile(name=index, path=index, content=b"", status=old, attributes={})
            give_owner(shape, descriptor)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(made, index)
    sync_directory(os.path.dirname(index))


def _remove(place: str) -> None:
    """Also what a crash has left. A link in its place is not followed."""
    try:
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        for name in os.listdir(directory):
            os.unlink(name, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(place)
