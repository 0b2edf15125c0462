"""Writes the file that is joined of a private key and a certificate's file."""

from __future__ import annotations

import os
import stat

from postkeel.certificates.joining import contents, joined, sources
from postkeel.core.changes import JoinFiles
from postkeel.core.errors import PostkeelError
from postkeel.shell.forked import answer_of
from postkeel.shell.whole_file import write_whole

LARGEST = 1 << 20
SECONDS = 10.0
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def join(change: JoinFiles) -> None:
    """Write the joined file, if what it is made of is still what was judged; down to the disk.

    It is the old one or the new one at every moment, root's and for nobody else. What a crash
    leaves is one file, `path` with ".new" behind it, which the next call removes. Two calls for
    one path must not run at once: that is what the lock of the instance is for.

    Diagnostics: PostkeelError; the old file is then as it was.
    Security: a link in the place of the file is not followed, and no file is replaced that
    postkeel did not make. The key is read in a process that ends, and so does not stay in the
    agent's memory.
    """
    answer_of(lambda: write(change), SECONDS)


def write(change: JoinFiles) -> None:
    """`join`, in this process."""
    _refuse_another(change.path)
    certificate, key = _read(change.certificate), _read(change.key)
    content = joined(certificate, key, change.certificate, change.key)
    if contents(content) != change.contents:
        raise PostkeelError(
            f"{change.path}: not joined, for {change.certificate} or {change.key} has changed "
            "since it was judged; the next look judges what is there by then"
        )
    write_whole(change.path, content, mode=0o600, durable=True)


def _refuse_another(path: str) -> None:
    """Raise PostkeelError where there is a file that postkeel did not make."""
    try:
        status, content = _taken_in(path, os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{error.strerror}, or it is a symbolic link"
    else:
        if status.st_uid == os.geteuid() and sources(content):
            return
        reason = "its first line would say so, and it would be root's"
    raise PostkeelError(
        f"{path}: not written, for postkeel did not make what is there ({reason}); move it away"
    )


def _read(path: str) -> bytes:
    """A file that a renewer keeps, through whatever links lead to it."""
    try:
        status, content = _taken_in(path)
    except OSError as error:
        raise PostkeelError(
            f"{path}: cannot be read: {error.strerror}; nothing joined. The service reads what "
            "root owns, outside /root and /home: see README.Debian"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise PostkeelError(f"{path}: not a file; nothing joined")
    if len(content) > LARGEST:
        raise PostkeelError(f"{path}: larger than 1 MiB, so no certificate and no key")
    return content


def _taken_in(path: str, more: int = 0) -> tuple[os.stat_result, bytes]:
    """What is there, and of a file the content, up to one byte more than what is taken."""
    descriptor = os.open(path, _FLAGS | more)
    try:
        status = os.fstat(descriptor)
        content = b""
        while stat.S_ISREG(status.st_mode) and len(content) <= LARGEST:
            part = os.read(descriptor, LARGEST + 1 - len(content))
            if not part:
                break
            content += part
        return status, content
    finally:
        os.close(descriptor)
