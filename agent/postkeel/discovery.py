"""Where plugins come from: installed packages' entry points, and a vetted directory."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType

from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen

GROUP = "postkeel.plugins"


@frozen
class Found:
    """A plugin's name, where it comes from, and how to import it."""

    name: str
    source: str
    load: Callable[[], object]


def find_plugins(configuration: Configuration) -> Iterator[Found]:
    """Installed plugins by entry point, then the drop-in directory's, each name once.

    The entry points are read from the installed packages' own entry_points.txt
    (packaging.python.org, "Entry points specification"); importlib.metadata
    does the same for 30 ms more in every command.
    """
    seen: set[str] = set()
    for name, source, target in entry_points(sys.path):
        if name not in seen:
            seen.add(name)
            yield Found(name=name, source=source, load=_Import(target))
    if configuration.plugin_directory:
        yield from _drop_ins(configuration.plugin_directory, seen)


class _Import:
    """Imports "module" or "module:attribute"."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __call__(self) -> object:
        module, _, attribute = self.target.partition(":")
        found: object = importlib.import_module(module)
        for one in attribute.split(".") if attribute else ():
            found = getattr(found, one)
        return found


def entry_points(directories: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(name, source, target) of each entry point of the group in these import directories."""
    for directory in directories:
        try:
            names = sorted(os.listdir(directory or "."))
        except OSError:
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            path = os.path.join(directory, name, "entry_points.txt")
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:
                continue
            if GROUP.encode() in content:
                text = content.decode(errors="replace")
                yield from ((one, path, target) for one, target in _section(text))


def _section(text: str) -> Iterator[tuple[str, str]]:
    inside = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped == f"[{GROUP}]"
        elif inside and "=" in stripped and not stripped.startswith("#"):
            name, target = stripped.split("=", 1)
            yield name.strip(), target.split("[")[0].strip()


def _drop_ins(directory: str, seen: set[str]) -> Iterator[Found]:
    """The *.py of the drop-in directory; each and the directory must be root's alone."""
    vet(directory)
    for name in sorted(os.listdir(directory)):
        stem = name.removesuffix(".py")
        if stem != name and stem not in seen:
            seen.add(stem)
            path = os.path.join(directory, name)
            yield Found(name=stem, source=path, load=_File(stem, path))


class _File:
    """Imports one vetted file."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path

    def __call__(self) -> ModuleType:
        import importlib.util

        vet(self.path)
        spec = importlib.util.spec_from_file_location(f"postkeel_drop_in_{self.name}", self.path)
        if spec is None or spec.loader is None:
            raise PostkeelError(f"{self.path}: not a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def vet(path: str) -> None:
    """Refuse code that somebody else than root, or than this user, could have written."""
    try:
        state = os.stat(path)
    except OSError as error:
        raise PostkeelError(f"{path}: {error.strerror}") from error
    if state.st_uid not in (0, os.geteuid()) or state.st_mode & 0o022:
        raise PostkeelError(f"{path}: must belong to root and be writable by nobody else")


def own_plugins(plugins: Mapping[str, object]) -> Iterator[Found]:
    """The agent's own fact providers, ahead of all others."""
    for name, plugin in plugins.items():
        yield Found(name=name, source="postkeel", load=lambda plugin=plugin: plugin)  # type: ignore[misc]
