"""Name and password for ports that want a login, and the address that probes go to."""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line
from postkeel.shell.probe_session import Login

_MOST_OCTETS: Final = 1024
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.\[\]:-]{1,255}")


def login_of(file: str) -> Login:
    """What stands in a file "USER:PASSWORD" of one line.

    Errors: PostkeelError when it cannot be read, is none such, or when everybody may read it.
    Security: the password is in no text of an error.
    """
    if not file:
        raise PostkeelError("there are no credentials for it: set credentials")
    shown = one_line(file)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise PostkeelError(f"{shown}: cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PostkeelError(f"{shown}: no regular file")
        if found.st_mode & stat.S_IRWXO:
            raise PostkeelError(f"{shown}: others may read or write it: chmod o= {shown}")
        content = os.read(descriptor, _MOST_OCTETS + 1)
    finally:
        os.close(descriptor)
    try:
        user, colon, password = content.decode().rstrip("\r\n").partition(":")
    except UnicodeDecodeError:
        user = colon = password = ""
    one = f"{user}{password}"
    if not (user and colon and password) or len(content) > _MOST_OCTETS or not one.isprintable():
        raise PostkeelError(f"{shown}: holds no line USER:PASSWORD of up to {_MOST_OCTETS} octets")
    return Login(user, password)


def mail_address(text: str) -> str:
    """The address. Errors: PostkeelError when it is none that goes into any SMTP command."""
    if _ADDRESS.fullmatch(text) is None:
        raise PostkeelError(f"{one_line(text, 200)!r} is no address for probes: set probe_address")
    return text
