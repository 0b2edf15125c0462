"""Reads postkeel's own TOML: the configuration, the profiles."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import tomli

from postkeel.core.configuration import Configuration, read_configuration
from postkeel.core.document import Document
from postkeel.core.errors import ConfigurationError, PostkeelError, Problem
from postkeel.core.profile import Profile, resolve_profile
from postkeel.postfix.comparisons import COMPARISONS

DEFAULT_FILE = "/etc/postkeel/postkeel.toml"
DEBIAN_DIRECTORY = "/usr/share/postkeel"
_LARGEST = 1 << 20


def read_document(path: str) -> Document:
    """One TOML file.

    Errors: ConfigurationError with file and line when it is not TOML;
    PostkeelError when it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise PostkeelError(f"{path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise PostkeelError(f"{path}: larger than 1 MiB, which no configuration of postkeel is")
    try:
        text = content.decode()
        return Document(file=path, text=text, data=tomli.loads(text))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem(file=path, line=line, message="not UTF-8")
        raise ConfigurationError(problem) from error
    except tomli.TOMLDecodeError as error:
        raise ConfigurationError(_located(path, text, str(error))) from error


def _located(path: str, text: str, message: str) -> Problem:
    what, _, place = message.rpartition(" (at ")
    words = place.rstrip(")").replace(",", "").split()
    if words[:1] == ["line"]:
        return Problem(file=path, line=int(words[1]), message=what)
    return Problem(file=path, line=text.count("\n") + 1, message=what or message)


def load_configuration(path: str | None) -> Configuration:
    """The main file and conf.d/*.toml beside it; None is the default, which may be missing."""
    main = path or DEFAULT_FILE
    files = [main] if path or os.path.exists(main) else []
    files += toml_files(os.path.join(os.path.dirname(os.path.abspath(main)), "conf.d"))
    return read_configuration(read_document(one) for one in files)


def toml_files(directory: str) -> list[str]:
    """The directory's *.toml in order of name; none when there is no such directory."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    return [os.path.join(directory, one) for one in names if one.endswith(".toml")]


def shipped_directory() -> str:
    """Where postkeel's own data is: in a wheel, in a source tree, or where Debian has it."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    beside = os.path.dirname(os.path.dirname(package))
    for one in (os.path.join(package, "conf"), os.path.join(beside, "conf")):
        if os.path.isdir(os.path.join(one, "profiles")):
            return one
    return DEBIAN_DIRECTORY


def profile_files(configuration_file: str | None) -> dict[str, str]:
    """Profile names and files: the shipped ones, then those in profiles/ beside the
    configuration, which may extend but not replace a shipped one."""
    own = os.path.join(
        os.path.dirname(os.path.abspath(configuration_file or DEFAULT_FILE)), "profiles"
    )
    found: dict[str, str] = {}
    for path in toml_files(os.path.join(shipped_directory(), "profiles")) + toml_files(own):
        name = os.path.basename(path).removesuffix(".toml")
        if name in found and not os.path.samefile(path, found[name]):
            message = (
                f"profile {name!r} is shipped with postkeel: give yours another name and `extends`"
            )
            raise ConfigurationError(Problem(file=path, line=0, message=message))
        found[name] = path
    return found


class ProfileDocuments(Mapping[str, Document]):
    """The profile files by name, each read when it is first asked for."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._read: dict[str, Document] = {}

    def __getitem__(self, name: str) -> Document:
        if name not in self._read:
            self._read[name] = read_document(self._files[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class Profiles:
    """Resolves profiles by name, each once."""

    def __init__(self, configuration_file: str | None) -> None:
        self.documents = ProfileDocuments(profile_files(configuration_file))
        self._resolved: dict[str, Profile] = {}

    def get(self, name: str) -> Profile:
        """Errors: ConfigurationError, located, for an unknown or faulty profile."""
        if name not in self._resolved:
            self._resolved[name] = resolve_profile(name, self.documents, COMPARISONS)
        return self._resolved[name]
