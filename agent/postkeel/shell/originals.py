"""What an instance's files were before postkeel first changed them, and the way back.

    STATE/originals/%2Fetc%2Fpostfix/main.cf         the bytes
                                     main.cf.owner   mode, owner, group
                                     before-restore-20261123T011623Z/main.cf ...

The bytes come last, so their presence says that the copy is whole. It is made
once and never overwritten.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.core.frozen import frozen
from postkeel.postfix.editing import Texts
from postkeel.shell.config_file import ConfigFile, explained, real_path, sync_directory
from postkeel.shell.whole_file import read_whole, write_whole
from postkeel.shell.writer import MAIN, MASTER, Keep, accept, with_text, write


@frozen
class Restored:
    """Files that have their original content again, and where what they held is kept
    (empty when nothing differed)."""

    files: tuple[str, ...]
    kept_in: str


@frozen
class _Copy:
    """A file as it was kept."""

    content: bytes
    mode: int
    owner: int
    group: int


def originals_directory(config_directory: str, state_directory: str) -> str:
    """Where the originals of an instance are; its path is one escaped name."""
    name = os.path.normpath(config_directory).replace("%", "%25").replace("/", "%2F")
    return os.path.join(state_directory, "originals", name)


def keep_originals(config_directory: str, state_directory: str) -> Keep:
    """For `write`: keeps each file that is about to be changed, unless it has been before.

    Diagnostics: PostkeelError; the write is then not made.
    """
    directory = originals_directory(config_directory, state_directory)

    def keep(files: Mapping[str, ConfigFile]) -> None:
        missing = {
            name: file
            for name, file in files.items()
            if not os.path.lexists(os.path.join(directory, name))
        }
        _save(directory, missing)

    return keep


def restore(
    config_directory: str,
    state_directory: str,
    *,
    now: datetime,
    check: Callable[[Texts], None] = accept,
    deadline: float = 10.0,
) -> Restored:
    """Put the originals back, bytes, mode and owner, through the writer.

    A file that postkeel never changed has no original and is left alone. What
    the others hold is kept first, beside the originals.

    Diagnostics: PostkeelError when there are none or they cannot be read.
    """
    directory = originals_directory(config_directory, state_directory)
    copies = _load(directory)
    if not copies:
        raise PostkeelError(
            f"{config_directory}: there are no originals in {directory}: "
            "postkeel has not changed this instance"
        )
    kept_in = _unused(directory, now)

    def revise(texts: Texts) -> Texts:
        for name, copy in copies.items():
            texts = with_text(texts, name, copy.content.decode("utf-8", "surrogateescape"))
        return texts

    def keep(files: Mapping[str, ConfigFile]) -> None:
        _save(kept_in, files)

    written = write(config_directory, revise, check=check, keep=keep, deadline=deadline)
    for name, copy in copies.items():
        _own(os.path.join(config_directory, name), copy)
    return Restored(files=written.changed, kept_in=kept_in if written.changed else "")


def _unused(directory: str, now: datetime) -> str:
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = wanted = os.path.join(directory, f"before-restore-{stamp}")
    count = 1
    while os.path.lexists(path):
        count += 1
        path = f"{wanted}-{count}"
    return path


def _own(path: str, copy: _Copy) -> None:
    try:
        path = real_path(path)
        status = os.stat(path)
        if (status.st_uid, status.st_gid) != (copy.owner, copy.group):
            os.chown(path, copy.owner, copy.group)
        if stat.S_IMODE(status.st_mode) != copy.mode:
            os.chmod(path, copy.mode)
    except OSError as error:
        raise PostfixError(
            f"content restored, but not the owner or mode: {explained(error, path)}"
        ) from error


def _save(directory: str, files: Mapping[str, ConfigFile]) -> None:
    if not files:
        return
    try:
        _make_directory(directory)
    except OSError as error:
        raise PostkeelError(f"{directory}: cannot be made: {error.strerror}") from error
    for name, file in files.items():
        status = file.status
        owner = f"{stat.S_IMODE(status.st_mode):04o} {status.st_uid} {status.st_gid}\n"
        path = os.path.join(directory, name)
        write_whole(f"{path}.owner", owner.encode(), mode=0o600, durable=True)
        write_whole(path, file.content, mode=0o600, durable=True)


def _make_directory(path: str) -> None:
    """Private, with its ancestors, each on the disk before what goes into it."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_directory(parent)
    os.mkdir(path, 0o700)
    sync_directory(parent)


def _load(directory: str) -> dict[str, _Copy]:
    found = {}
    for name in (MAIN, MASTER):
        content = read_whole(os.path.join(directory, name))
        if content is not None:
            found[name] = _copy(os.path.join(directory, name), content)
    return found


def _copy(path: str, content: bytes) -> _Copy:
    words = (read_whole(f"{path}.owner") or b"").split()
    try:
        mode, owner, group = int(words[0], 8), int(words[1]), int(words[2])
    except (IndexError, ValueError) as error:
        raise PostkeelError(f"{path}.owner: does not say the mode, owner and group") from error
    return _Copy(content=content, mode=mode, owner=owner, group=group)
