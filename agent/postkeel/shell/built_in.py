"""What the installed Postfix says of itself, whatever its configuration: asked once, and kept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from postkeel.core.errors import PostfixError
from postkeel.core.frozen import frozen
from postkeel.shell.command import Running, find_program, start
from postkeel.shell.config_file import is_hot

DEADLINE = 8.0
_QUESTIONS = (["-d"], ["-m"], ["-T", "run-version"])

_META = ("/etc/postfix", "/usr/share/postfix")  # meta_directory: up to Debian 13; after it
LOOSE_PARTS = (
    "/etc/ld.so.cache",
    *(f"{one}/dynamicmaps.cf{directory}" for one in _META for directory in ("", ".d")),
)
"""What changes when a package brings a new OpenSSL or a new type of table."""

Identity = tuple[tuple[int, ...], ...]


@frozen
class BuiltIn:
    """The defaults of every parameter, unexpanded, the types of tables, and the OpenSSL."""

    defaults: Mapping[str, str]
    map_types: tuple[str, ...]
    openssl: str


class DefaultsCache:
    """The built-in facts, kept until what they hang on is replaced: see `_identity`."""

    def __init__(self) -> None:
        self._known: BuiltIn | None = None
        self._known_of: Identity = ()
        self._asked: list[Running] = []

    def begin_early(self, config_directory: str | None) -> None:
        """Ask before the answers are needed, so that postconf runs while Python still imports.

        Where that could fail or wait nothing is asked: `get` does, and says why.
        """
        main_cf = os.path.join(config_directory or "", "main.cf")
        try:
            if config_directory and not is_hot(main_cf):
                self.begin(find_program("postconf"), config_directory)
        except (PostfixError, OSError):
            return

    def begin(self, postconf: str, config_directory: str) -> None:
        """Ask what is not known yet."""
        if not self._asked and (self._known is None or self._known_of != _identity(postconf)):
            self._known_of = _identity(postconf)
            self._asked = [start([postconf, "-c", config_directory, *one]) for one in _QUESTIONS]

    def get(self) -> BuiltIn:
        """The answers to what was begun. Errors: PostfixError when postconf does not end."""
        if self._asked:
            asked, self._asked = self._asked, []
            defaults, maps, openssl = (one.wait(DEADLINE).stdout for one in asked)
            self._known = BuiltIn(
                defaults=dict(assignments(defaults)),
                map_types=tuple(maps.split()),
                openssl=openssl.strip(),
            )
        assert self._known is not None  # noqa: S101  begin() comes first
        return self._known

    def close(self) -> None:
        """Stop what was asked early and then not needed: it may wait for a file that is none."""
        for one in self._asked:
            one.stop()
        self._asked = []


def assignments(text: str) -> Iterator[tuple[str, str]]:
    """postconf's "name = value" lines."""
    for line in text.split("\n"):
        name, separator, value = line.partition("=")
        if separator:
            yield name.strip(), value.removeprefix(" ")


def _identity(postconf: str) -> Identity:
    """Alike until Postfix, its OpenSSL or its types of tables are replaced."""
    return tuple(_stamp(path) for path in (postconf, *LOOSE_PARTS))


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
