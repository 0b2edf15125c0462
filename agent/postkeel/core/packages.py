"""What dpkg and apt write down: what is installed, what was done when, and who asked for it.

Everything here is total: whatever the bytes are, there is an answer, of bounded
size, in printable text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

NAME_LIMIT = 100
COMMAND_LIMIT = 120
_LOOSE = ("postfix-", "openssl-", "libssl", "libsasl2-")
_WHOLE = frozenset({"postfix", "openssl", "ca-certificates", "ssl-cert", "postkeel"})
_NO_PART = ("-dev", "-doc", "-dbgsym")

_ABSENT = frozenset({b"not-installed", b"config-files", b"half-installed"})
_STAMP = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
_ACTIONS = frozenset({b"install", b"upgrade", b"remove", b"purge"})
_NONE = b"<none>"
_WORDS = 6  # day, time, action, package, version before, version after

_CAME = ("Install", "Reinstall", "Upgrade", "Downgrade")
_WENT = ("Remove", "Purge")
_WITH_A_VALUE = frozenset(
    {"-o", "--option", "-c", "--config-file", "-t", "--target-release", "--default-release"}
)


def matters(name: str) -> bool:
    """Whether Postfix's TLS, or who guards it, hangs on the package of this name."""
    return (name in _WHOLE or name.startswith(_LOOSE)) and not name.endswith(_NO_PART)


def installed(status: Iterable[bytes]) -> dict[str, str]:
    """The versions of the packages that matter, from the lines of dpkg's status file."""
    versions: dict[str, str] = {}
    name, present = "", False
    for line in status:
        if line.startswith(b"Package: "):
            name, present = _text(line[9:]), False
            if not matters(name):
                name = ""
        elif not name:
            continue
        elif line.startswith(b"Status: "):
            present = line.split()[-1] not in _ABSENT
        elif line.startswith(b"Version: ") and present:
            versions[name] = _text(line[9:])
    return versions


@frozen
class Done:
    """One thing that dpkg did to a package that matters. `time` is local, without a zone."""

    time: datetime
    name: str
    before: str | None
    after: str | None


@frozen
class LogPart:
    """What a log says from a known line on; all of it when the line is not in it.

    last: its last line, after how often that was said in its second.
    """

    done: tuple[Done, ...]
    known: bool
    last: str


def read_log(lines: Iterable[bytes], known: str) -> LogPart:
    """What dpkg.log tells after the line `known`, which was the last one before."""
    done: list[Done] = []
    met, last, second = False, b"", b""
    said: dict[bytes, int] = {}
    times, _, line_known = known.encode().partition(b" ")
    for line in lines:
        stamp = _STAMP.match(line)
        if stamp is None:
            continue
        if stamp[0] != second:
            second, said = stamp[0], {}
        last = line.rstrip(b"\n")
        said[last] = said.get(last, 0) + 1
        if last == line_known and b"%d" % said[last] == times:
            done.clear()
            met = True
        elif (one := _done(last)) is not None:
            done.append(one)
    place = f"{said[last]} {last.decode('ascii', 'replace')}" if last else ""
    return LogPart(done=tuple(done), known=met, last=place)


def _done(line: bytes) -> Done | None:
    words = line.split()
    if len(words) != _WORDS or words[2] not in _ACTIONS:
        return None
    name = _text(words[3].partition(b":")[0])
    if not matters(name):
        return None
    time = _moment(line[:19].decode())
    if time is None:
        return None
    return Done(time=time, name=name, before=_version(words[4]), after=_version(words[5]))


def _moment(text: str) -> datetime | None:
    """ "2026-11-23 07:31:04", with one blank in dpkg.log and two in history.log."""
    try:
        return datetime.fromisoformat(" ".join(text.split())[:19]).replace(tzinfo=None)
    except ValueError:
        return None


def _version(word: bytes) -> str | None:
    return None if word == _NONE else _text(word)


@frozen
class AptRun:
    """One command of apt's that touched packages that matter: what it left of each.

    command: shortened, see `_shortened`. requester: the user behind sudo, if any.
    Times are local, without a zone, and None where apt did not write them.
    """

    began: datetime | None
    ended: datetime | None
    command: str
    requester: str
    left: frozenset[tuple[str, str | None]]

    def covers(self, time: datetime) -> bool:
        """Whether it ran at that time, as far as is known."""
        begun = self.began is None or self.began <= time
        return begun and (self.ended is None or time <= self.ended)


def read_history(content: bytes) -> tuple[AptRun, ...]:
    """The runs in apt's history.log, oldest first."""
    stanzas = content.decode("utf-8", "replace").split("\n\n")
    return tuple(run for run in map(_run, stanzas) if run.left)


def _run(stanza: str) -> AptRun:
    fields: dict[str, str] = {}
    for line in stanza.split("\n"):
        key, separator, value = line.partition(": ")
        if separator:
            fields[key] = value
    left = [one for key in _CAME for one in _came(key, fields.get(key, ""))]
    left += [(name, None) for key in _WENT for name, _ in _listed(fields.get(key, ""))]
    requester = fields.get("Requested-By", "").partition(" (")[0]
    return AptRun(
        began=_moment(fields.get("Start-Date", "")),
        ended=_moment(fields.get("End-Date", "")),
        command=one_line(_shortened(fields.get("Commandline", "")), COMMAND_LIMIT),
        requester=one_line(requester, NAME_LIMIT),
        left=frozenset(left),
    )


def _came(key: str, listed: str) -> Iterator[tuple[str, str | None]]:
    """Upgrade lists "before, after"; Install lists "version" or "version, automatic"."""
    for name, versions in _listed(listed):
        yield name, one_line(versions[-1 if key in ("Upgrade", "Downgrade") else 0], NAME_LIMIT)


def _listed(text: str) -> Iterator[tuple[str, list[str]]]:
    """The packages that matter of "name:arch (versions), name:arch (versions)"."""
    for one in text.split("), "):
        name, _, versions = one.partition(" (")
        name = name.partition(":")[0]
        if matters(name):
            yield one_line(name, NAME_LIMIT), versions.rstrip(")").split(", ")


def _shortened(command: str) -> str:
    """Program, verb and packages: an option's value may be a proxy's password."""
    said: list[str] = []
    words = iter(command.split())
    for word in words:
        if word in _WITH_A_VALUE:
            next(words, None)
        elif not word.startswith("-") or (word.startswith("--") and "=" not in word):
            is_file = not said or word.endswith(".deb")
            said.append(word.rsplit("/", 1)[-1] if is_file else word)
    return " ".join(said)


def _text(word: bytes) -> str:
    return one_line(word.decode("utf-8", "replace").strip(), NAME_LIMIT)
