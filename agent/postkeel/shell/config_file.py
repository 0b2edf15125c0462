"""One file of Postfix's configuration on disk: what it is, and its successor.

`read` takes a file in with all that a successor must keep; `stage` gives a new
file this content and all of that; a rename then makes it the file, at once or
not at all.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping

from postkeel.core.errors import PostfixError
from postkeel.core.frozen import frozen

LARGEST = 1 << 20
HOT_SECONDS = 2
COOL_SECONDS = 3
"""Postfix's programs (postconf, and every smtpd that starts) wait up to two seconds
until a main.cf is that old, in case its writer has not finished (dict_load_file). A
file that gets its name whole is dated back, so that nobody's mail waits for it."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_ACCESS_LIST = "system.posix_acl_access"
# These speak of one file's content or are the kernel's to give; a copy would be a lie.
_NOT_COPIED = {"security.ima", "security.evm", "security.capability"}
_HINTS = {
    errno.EROFS: " (a link to elsewhere? then the service needs ReadWritePaths= for it)",
    errno.EPERM: " (immutable? see lsattr)",
    errno.EACCES: " (the service has no power over what is not root's own)",
}


@frozen
class ConfigFile:
    """A file as it was read. `path` is its real name: that of `name`, symbolic links resolved."""

    name: str
    path: str
    content: bytes
    status: os.stat_result
    attributes: Mapping[str, bytes]

    def is_still_there(self) -> bool:
        """Whether nobody has written or replaced the file since it was read.

        Sees those who take no lock: editors, package scripts.
        """
        try:
            same = _identity(os.lstat(self.path)) == _identity(self.status)
            return same and real_path(self.name) == self.path
        except FileNotFoundError:
            return False


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def real_path(path: str) -> str:
    """The file behind a symbolic link, else the path itself.

    Errors: PostfixError when the link leads nowhere or in a circle.
    """
    if not os.path.islink(path):
        return path
    try:
        return os.path.realpath(path, strict=True)
    except OSError as error:
        raise PostfixError(
            f"{path} is a symbolic link: {error.filename}: {error.strerror}"
        ) from error


def read(name: str) -> ConfigFile:
    """The file of this name, a symbolic link followed.

    Errors: PostfixError for what postkeel does not replace: a directory, a
    device, a file with several names, one over 1 MiB; OSError from the system.
    """
    path = real_path(name)
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        _refuse(path, status)
        content = _read_all(descriptor)
        if len(content) > LARGEST:
            raise PostfixError(f"{path} is larger than 1 MiB; no Postfix configuration is")
        attributes = _attributes(descriptor)
    finally:
        os.close(descriptor)
    return ConfigFile(name=name, path=path, content=content, status=status, attributes=attributes)


def _refuse(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PostfixError(f"{path} is not a file: a directory or device cannot be configuration")
    if status.st_nlink > 1:
        raise PostfixError(
            f"{path} has {status.st_nlink} names (hard links), which replacing it would part; "
            "make it a file of its own"
        )


def _read_all(descriptor: int) -> bytes:
    parts = []
    left = LARGEST + 1
    while left > 0 and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def give_owner(file: ConfigFile, descriptor: int) -> None:
    """Give the open file the owner and group of this one, which may need a privilege.

    Errors: PostfixError where that is not ours to do, as in a sandbox without
    CAP_CHOWN, or in one that knows no other users and shows them all as nobody.
    """
    made, wanted = os.fstat(descriptor), file.status
    if (made.st_uid, made.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    try:
        os.fchown(descriptor, wanted.st_uid, wanted.st_gid)
    except OSError as error:
        raise PostfixError(
            f"{file.path}: not changed, for its owner or group cannot be kept: the service may not "
            f"give files away ({error.strerror}); run: chown root:root {file.path}, "
            "or see README.Debian for a service that may"
        ) from error


def stage(file: ConfigFile, content: bytes, descriptor: int) -> None:
    """Make the open, empty, private file the successor of this one, down to the disk.

    Its owner has been given to it: see `give_owner`.
    Errors: OSError, as when the disk is full.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    _give_attributes(descriptor, file.attributes)
    os.fchmod(descriptor, stat.S_IMODE(file.status.st_mode))
    cool(descriptor)
    os.fsync(descriptor)


def is_hot(path: str) -> bool:
    """Whether Postfix's programs would wait before they read this file. OSError when it is gone."""
    return -1 <= time.time() - os.stat(path).st_mtime <= HOT_SECONDS


def cool(descriptor: int) -> None:
    """Date the open file back, see COOL_SECONDS."""
    now = time.time()
    os.utime(descriptor, (now, now - COOL_SECONDS))


def _give_attributes(descriptor: int, wanted: Mapping[str, bytes]) -> None:
    have = _attributes(descriptor)
    if _ACCESS_LIST in have and _ACCESS_LIST not in wanted:
        os.removexattr(descriptor, _ACCESS_LIST)  # from the directory's default
    for name, value in wanted.items():
        if have.get(name) != value:
            os.setxattr(descriptor, name, value)


def _attributes(descriptor: int) -> dict[str, bytes]:
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {name: os.getxattr(descriptor, name) for name in names if name not in _NOT_COPIED}


def sync_directory(path: str) -> None:
    """Bring a directory's names to the disk. File systems that cannot are left alone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def explained(error: OSError, path: str) -> str:
    """The system's refusal in one sentence; `path` is named when the error names none."""
    named = error.filename2 or error.filename or path  # the second is a rename's target
    return f"{named}: {error.strerror}{_HINTS.get(error.errno or 0, '')}"
