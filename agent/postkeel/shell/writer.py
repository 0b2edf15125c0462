"""The one writer of Postfix's configuration: never half a file, nobody's update lost.

The new files are made under postconf's own lock, from what the files hold at
that moment; checked, brought to disk, and only then renamed into place.
Whatever fails before that leaves the files as they were.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from postkeel.core.errors import EditError, PostfixError
from postkeel.core.frozen import frozen
from postkeel.postfix.editing import Texts
from postkeel.shell.config_file import (
    ConfigFile,
    explained,
    give_owner,
    read,
    real_path,
    stage,
    sync_directory,
)
from postkeel.shell.edit_lock import EditLock

MAIN = "main.cf"
MASTER = "master.cf"

Keep = Callable[[Mapping[str, ConfigFile]], None]


@frozen
class Written:
    """What a write did. `before` is what was under the lock; `changed` names the
    files that differ, and is empty when nothing was written."""

    config_directory: str
    before: Texts
    after: Texts
    changed: tuple[str, ...]


class _OvertakenError(Exception):
    """Somebody who takes no lock has changed a file under our hands: start again."""


class _HalfDoneError(Exception):
    """`written` was replaced, the next file could not be: to be undone once the locks are free."""

    def __init__(self, written: Written, reason: str) -> None:
        super().__init__(reason)
        self.written = written


def accept(texts: Texts) -> None:
    """The check for texts that were in force before, and so need none."""


def keep_nothing(files: Mapping[str, ConfigFile]) -> None:
    """For writes that are to leave no copy of what was there."""


def write(
    config_directory: str,
    revise: Callable[[Texts], Texts],
    *,
    check: Callable[[Texts], None],
    keep: Keep = keep_nothing,
    deadline: float = 10.0,
) -> Written:
    """Replace main.cf and master.cf by what `revise` makes of them; nothing when nothing differs.

    revise: called under the lock with what the files hold; again when somebody
    who takes no lock was faster. check: raises PostfixError to refuse the new
    texts. keep: given the files that are about to be replaced, by name; raises
    PostkeelError to refuse. deadline: seconds to wait for the lock.

    Owner, mode, ACL, other attributes and a symbolic link are kept. Each file
    is replaced at once, main.cf first; when master.cf cannot be, main.cf gets
    its content back.

    Diagnostics: PostfixError; unless its text says otherwise the files are as
    they were.
    Security: a captured directory is out of scope: who can write it is root.
    """
    ends = time.monotonic() + deadline
    while True:
        try:
            with ExitStack() as locks:
                hands = _Hands(config_directory=config_directory, ends=ends, locks=locks)
                return _attempt(hands, revise, check, keep)
        except _OvertakenError:
            if time.monotonic() >= ends:
                raise PostfixError(
                    f"{config_directory}: another program keeps changing the files; nothing changed"
                ) from None
        except _HalfDoneError as error:
            raise PostfixError(f"{error}{_undone(error.written)}") from error
        except OSError as error:
            raise PostfixError(explained(error, config_directory)) from error


def put_back(written: Written, *, deadline: float = 10.0) -> None:
    """Undo a write, file by file, where the file still is what was written.

    Diagnostics: as `write`; and PostfixError naming the files that somebody has
    edited since. Such an edit is never thrown away; the other file is put back.
    """
    edited: list[str] = []

    def revise(now: Texts) -> Texts:
        edited.clear()
        for name in written.changed:
            found = text_of(now, name)
            if found == text_of(written.after, name):
                now = with_text(now, name, text_of(written.before, name))
            elif found != text_of(written.before, name):
                edited.append(name)
        return now

    write(written.config_directory, revise, check=accept, deadline=deadline)
    if edited:
        names = " and ".join(os.path.join(written.config_directory, one) for one in edited)
        raise PostfixError(f"{names}: edited by another since, and left so")


def text_of(texts: Texts, name: str) -> str:
    """The text of "main.cf" or "master.cf"."""
    return texts.main_cf if name == MAIN else texts.master_cf


def with_text(texts: Texts, name: str, text: str) -> Texts:
    """The texts with that of "main.cf" or "master.cf" replaced."""
    return replace(texts, main_cf=text) if name == MAIN else replace(texts, master_cf=text)


@frozen
class _Hands:
    """One attempt's hold on the files: what is locked is let go of with `locks`."""

    config_directory: str
    ends: float
    locks: ExitStack

    def path(self, name: str) -> str:
        return os.path.join(self.config_directory, name)

    def lock(self, name: str) -> EditLock:
        """Take postconf's lock of a file; the lock returned is beside the real file.

        Where the file is a symbolic link, its own name's lock keeps out those
        who edit this instance, and that of the real file those who edit that.
        """
        lock = self.locks.enter_context(EditLock(self.path(name), self.ends))
        real = real_path(self.path(name))
        if real == self.path(name):
            return lock
        return self.locks.enter_context(EditLock(real, self.ends))


def _attempt(
    hands: _Hands,
    revise: Callable[[Texts], Texts],
    check: Callable[[Texts], None],
    keep: Keep,
) -> Written:
    locks = {MAIN: hands.lock(MAIN)}
    files = {name: read(hands.path(name)) for name in (MAIN, MASTER)}
    before = _texts(files)
    after = revise(before)
    if after.master_cf != before.master_cf:
        locks[MASTER] = hands.lock(MASTER)
        files[MASTER] = read(hands.path(MASTER))
        if _texts(files) != before:
            before = _texts(files)
            after = revise(before)
    changed = tuple(one for one in (MAIN, MASTER) if text_of(after, one) != text_of(before, one))
    written = Written(
        config_directory=hands.config_directory, before=before, after=after, changed=changed
    )
    if changed:
        check(after)
        for name in changed:  # before `keep`, which would take a masked owner for the true one
            give_owner(files[name], locks[name].descriptor)
        keep({name: files[name] for name in changed})
        _replace(written, files, locks)
    return written


def _replace(
    written: Written, files: Mapping[str, ConfigFile], locks: Mapping[str, EditLock]
) -> None:
    """Stage every file before the first is renamed, so that little can fail in between."""
    for name in written.changed:
        stage(files[name], _encoded(text_of(written.after, name)), locks[name].descriptor)
    if not all(locks[name].intact() and files[name].is_still_there() for name in written.changed):
        raise _OvertakenError
    for count, name in enumerate(written.changed):
        try:
            locks[name].rename(files[name].path)
        except OSError as error:
            done = replace(written, changed=written.changed[:count])
            raise _HalfDoneError(done, explained(error, files[name].path)) from error
    for directory in {os.path.dirname(files[name].path) for name in written.changed}:
        try:
            sync_directory(directory)
        except OSError as error:
            text = explained(error, directory)
            raise PostfixError(f"changed, but perhaps not yet on disk: {text}") from error


def _undone(written: Written) -> str:
    """Undo what was replaced; what to add to the error when that did not work."""
    try:
        put_back(written)
    except PostfixError as error:
        return f"; {', '.join(written.changed)} was changed, and not put back: {error}"
    return ""


def _texts(files: Mapping[str, ConfigFile]) -> Texts:
    return Texts(main_cf=_decoded(files[MAIN]), master_cf=_decoded(files[MASTER]))


def _decoded(file: ConfigFile) -> str:
    return file.content.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise EditError("a value holds half a character, which no file can") from error
