"""Reads the files of certificates and keys, and says by which marks they are the same later.

Security: names are an administrator's, but what they lead to is looked at before it is read:
no pipe or device is waited for, and of nothing more than 1 MiB is read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from datetime import UTC, datetime

from postkeel.certificates.stored import Stamps
from postkeel.certificates.values import Fault, FaultKind, FileSeen
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

LARGEST = 1 << 20
_MOST_LINKS = 40
_MOST_TRIES = 3
_HIDDEN = ("/home/", "/root/", "/run/user/")
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_SHOWN = (
    "the packaged service does not see /root and /home: keep certificate and key in /etc, or run"
    " `systemctl edit postkeel.service` and write `[Service]` and `ProtectHome=read-only`"
)


@frozen
class FileRead:
    """A file as it was seen, and its content; where there is none `fault` says why.

    stamps: of a file that changed all the time while it was read they are never found again.
    """

    seen: FileSeen
    stamps: Stamps
    content: bytes | None = None
    fault: Fault | None = None


def stamp(path: str) -> tuple[int, ...]:
    """Alike until the name leads to another file, or that one has changed."""
    try:
        return _mark(os.stat(path))
    except (OSError, ValueError) as error:
        return (getattr(error, "errno", None) or -1,)


def are_same(stamps: Stamps) -> bool:
    """Whether all these names still mean what they meant."""
    return all(stamp(path) == known for path, known in stamps.items())


def read_file(path: str) -> FileRead:
    """The file behind the name, symbolic links followed, and at most LARGEST + 1 bytes of it."""
    tries = _MOST_TRIES
    while True:
        tries -= 1
        before = stamp(path)
        content, status, fault = _content(path)
        if status is None:
            return FileRead(seen=_unseen(path, fault), stamps={path: before}, fault=fault)
        still = _mark(status) == before == stamp(path)
        if still or not tries:
            seen = _seen(path, status, fault)
            stamps = {path: before if still else ()}
            return FileRead(seen=seen, stamps=stamps, content=content, fault=fault)


def links_of(path: str) -> tuple[str, ...]:
    """The symbolic links on the way that the name takes, as far as it leads."""
    links: list[str] = []
    left = path.split("/")[::-1]
    here = "/"
    while left and len(links) < _MOST_LINKS:
        part = left.pop()
        if part in ("", ".", ".."):
            here = os.path.dirname(here) if part == ".." else here
            continue
        full = os.path.join(here, part)
        try:
            target = os.readlink(full)
        except OSError:  # no link, or not to be seen
            here = full
            continue
        links.append(full)
        here = "/" if target.startswith("/") else here
        left += target.split("/")[::-1]
    return tuple(links)


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _content(path: str) -> tuple[bytes | None, os.stat_result | None, Fault | None]:
    """The content, of which file, and why there is none."""
    try:
        descriptor = os.open(path, _READ)
    except (OSError, ValueError) as error:
        return None, None, _refused(path, error)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            what = "this is no file, but a directory, pipe or device"
            return None, status, Fault(kind=FaultKind.FILE, file=path, line=0, what=what)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST + 1), status, None
    except OSError as error:
        return None, None, _refused(path, error)
    finally:
        os.close(descriptor)


def _seen(path: str, status: os.stat_result, fault: Fault | None) -> FileSeen:
    return FileSeen(
        path=path,
        real=os.path.realpath(path),
        mode=stat.S_IMODE(status.st_mode),
        owner=status.st_uid,
        changed=_newest(path, status.st_mtime, status.st_ctime),
        problem=fault.what if fault else "",
    )


def _unseen(path: str, fault: Fault | None) -> FileSeen:
    """Of what is not to be seen the newest change is that of the directory where it should be."""
    moments = []
    try:
        moments.append(os.stat(os.path.dirname(os.path.realpath(path))).st_mtime)
    except (OSError, ValueError):  # neither is the directory
        moments = []
    return FileSeen(path=path, changed=_newest(path, *moments), problem=fault.what if fault else "")


def _newest(path: str, *moments: float) -> datetime | None:
    """The newest of these moments and of the changes of the symbolic links on the way."""
    found = list(moments)
    for link in links_of(path):
        with contextlib.suppress(OSError):  # gone by now, which the next look sees
            found.append(os.lstat(link).st_ctime)
    try:
        return datetime.fromtimestamp(max(found), UTC) if found else None
    except (OverflowError, ValueError, OSError):  # a file may be dated to any time
        return None


def _refused(path: str, error: OSError | ValueError) -> Fault:
    """Why a file is not to be read, and what to do; what Postfix, as root, could not read either
    breaks."""
    links = links_of(path)
    number = getattr(error, "errno", None)
    what, help_, breaks = getattr(error, "strerror", None) or str(error), "", True
    hidden = any(f"{one}/".startswith(_HIDDEN) for one in (path, *map(_target, links)))
    if not path:
        what = "there is a certificate, and no file with its key is named"
    elif hidden and number in (errno.ENOENT, errno.EACCES):
        what, help_, breaks = "it is not to be seen from here", _SHOWN, False
    elif number == errno.ENOENT and links:
        what = f"the symbolic link {links[-1]} leads to {_target(links[-1])}, which is not there"
        help_ = f"ls -l {links[-1]}"
    elif number == errno.ENOENT:
        what = "there is no such file"
    elif number == errno.ELOOP:
        what, help_ = "symbolic links lead in a circle", f"ls -l {path}"
    elif number == errno.EACCES:
        what = "the service may read only what root owns"
        help_, breaks = f"chown root {path}", False
    return Fault(
        kind=FaultKind.FILE,
        file=path,
        line=0,
        what=one_line(what, 400),
        help=one_line(help_, 400),
        breaks=breaks,
    )


def _target(link: str) -> str:
    try:
        return os.path.join(os.path.dirname(link), os.readlink(link))
    except OSError:
        return ""
