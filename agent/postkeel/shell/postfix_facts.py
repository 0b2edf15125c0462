"""Gathers the facts of a Postfix instance: postconf's word, and the lines it does not tell."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from postkeel.core.errors import PostfixError
from postkeel.core.text import one_line
from postkeel.postfix.instance import FileState, Instance, Parameter, Service
from postkeel.postfix.main_cf import MainCf, read_main_cf
from postkeel.postfix.master_cf import Entry, MasterCf, read_master_cf
from postkeel.postfix.references import referenced_files
from postkeel.postfix.roles import role_of
from postkeel.shell.command import Completed, find_program, start
from postkeel.shell.config_file import LARGEST, cool

DEADLINE = 8.0
_HOT_SECONDS = 2.0
_WARNING = "postconf: warning: "
_FATAL = "postconf: fatal: "


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """What the installed Postfix says of itself, whatever its configuration."""

    defaults: Mapping[str, str]
    map_types: tuple[str, ...]
    openssl: str


Identity = tuple[tuple[int, ...], ...]


class DefaultsCache:
    """The built-in facts, kept until what they hang on is replaced: see `_identity`."""

    def __init__(self) -> None:
        self._known: dict[Identity, BuiltIn] = {}

    def get(self, identity: Identity) -> BuiltIn | None:
        return self._known.get(identity)

    def put(self, identity: Identity, built_in: BuiltIn) -> None:
        self._known.clear()
        self._known[identity] = built_in


def gather_instance(config_directory: str, *, defaults: DefaultsCache) -> Instance:
    """All facts of one instance.

    Values are postconf's; lines are those of our own reading of the files.
    Errors: PostfixError when Postfix is missing, a file cannot be read, or
    postconf refuses the configuration, with its words and the line if known.
    """
    texts = {name: _read(os.path.join(config_directory, name)) for name in ("main.cf", "master.cf")}
    postconf = find_program("postconf")
    identity = _identity(postconf)
    built_in = defaults.get(identity)
    with _readable_now(config_directory, texts) as directory:
        command = [postconf, "-c", directory]
        asked = start([*command, "-n"])
        others = [] if built_in else [start([*command, *one]) for one in _BUILT_IN]
        main_cf = read_main_cf(texts["main.cf"])
        master_cf = read_master_cf(texts["master.cf"])
        answer = asked.wait(DEADLINE)
        if others:
            built_in = _built_in([one.wait(DEADLINE) for one in others])
            defaults.put(identity, built_in)
        assert built_in is not None  # noqa: S101  one of the two branches gave it
        said = answer.stderr.replace(directory, config_directory)
        if answer.status != 0:
            raise PostfixError(_refusal(config_directory, said, main_cf, master_cf))
        parameters = _parameters(answer.stdout, main_cf)
        bare = Instance(
            config_directory=config_directory,
            version=built_in.defaults.get("mail_version", ""),
            openssl=built_in.openssl,
            map_types=built_in.map_types,
            parameters=parameters,
            defaults=built_in.defaults,
            services=_services(master_cf, parameters, built_in.defaults),
            main_cf=texts["main.cf"],
            master_cf=texts["master.cf"],
            warnings=(*_warnings(said), *_passed_over(main_cf, master_cf)),
            unused=_unused(main_cf, parameters, built_in.defaults),
        )
        return _with_surroundings(bare, directory)


_BUILT_IN = (["-d"], ["-m"], ["-T", "run-version"])


def _built_in(answers: list[Completed]) -> BuiltIn:
    defaults, maps, openssl = (one.stdout for one in answers)
    return BuiltIn(
        defaults=dict(_assignments(defaults)),
        map_types=tuple(maps.split()),
        openssl=openssl.strip(),
    )


def _with_surroundings(bare: Instance, readable: str) -> Instance:
    """The instance with what lies outside its two files: other files, tables, OpenSSL, processes."""
    from postkeel.shell.openssl import suites_for
    from postkeel.shell.policy_tables import policies_of

    return replace(
        bare,
        running=is_running(bare.effective("queue_directory").value),
        references={path: _file_state(path) for path in referenced_files(bare)},
        suites=suites_for(bare),
        policies=policies_of(bare, readable),
    )


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PostfixError(f"{path}: not a file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise PostfixError(f"{path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise PostfixError(f"{path}: larger than 4 MiB, which no configuration of Postfix is")
    return content.decode("utf-8", "surrogateescape")


_LOOSE_PARTS = ("/etc/ld.so.cache", "/etc/postfix/dynamicmaps.cf", "/etc/postfix/dynamicmaps.cf.d")
"""What changes when a package brings a new OpenSSL or a new type of table."""


def _identity(postconf: str) -> Identity:
    """Alike until Postfix, its OpenSSL or its types of tables are replaced."""
    return tuple(_stamp(path) for path in (postconf, *_LOOSE_PARTS))


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def _readable_now(config_directory: str, texts: Mapping[str, str]) -> Iterator[str]:
    """A directory that postconf reads without waiting.

    Of a main.cf younger than two seconds postconf waits until it is that old
    (dict_load_file: its writer may not have finished). The watcher has seen the
    writer finish, so postconf is given a private copy that is dated back.
    """
    age = time.time() - os.stat(os.path.join(config_directory, "main.cf")).st_mtime
    if not -1 <= age <= _HOT_SECONDS:
        yield config_directory
        return
    copy = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"postkeel-{os.urandom(8).hex()}")
    try:
        os.mkdir(copy, 0o700)
        for name, text in texts.items():
            with open(os.path.join(copy, name), "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                file.flush()
                cool(file.fileno())
    except OSError as error:
        raise PostfixError(f"{copy}: {error.strerror}") from error
    try:
        yield copy
    finally:
        for name in texts:
            os.unlink(os.path.join(copy, name))
        os.rmdir(copy)


def _refusal(directory: str, said: str, main_cf: MainCf, master_cf: MasterCf) -> str:
    """postconf's fatal words, and the lines that our reading makes responsible."""
    fatal = [one.partition(_FATAL)[2] for one in said.splitlines() if one.startswith(_FATAL)]
    known = [f"{directory}/{one}" for one in (*main_cf.problems, *master_cf.problems)]
    words = one_line("; ".join(fatal) or said.strip() or "no reason given", 400)
    return "\n".join([f"{directory}: postconf refuses the configuration: {words}", *known])


def _warnings(said: str) -> Iterator[str]:
    for line in dict.fromkeys(said.splitlines()):
        yield one_line(line.removeprefix(_WARNING), 400)


def _passed_over(main_cf: MainCf, master_cf: MasterCf) -> Iterator[str]:
    """What Postfix, and mostly postconf too, passes over in silence."""
    for problem in (*main_cf.ignored, *master_cf.ignored):
        yield one_line(str(problem), 400)
    for name, entry in master_cf.services.items():
        if len(master_cf.all_of(name)) > 1:
            yield f"master.cf:{entry.number}: {one_line(name, 80)} is there again; this entry counts"


def _unused(
    main_cf: MainCf, parameters: Mapping[str, Parameter], defaults: Mapping[str, str]
) -> dict[str, Parameter]:
    """What main.cf sets without effect: postconf -n leaves such names out."""
    return {
        name: Parameter(value=one.value, where=f"main.cf:{one.number}")
        for name, one in main_cf.winners.items()
        if name not in parameters and name not in defaults
    }


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        name, separator, value = line.partition("=")
        if separator:
            yield name.strip(), value.removeprefix(" ")


def _parameters(text: str, main_cf: MainCf) -> dict[str, Parameter]:
    """What main.cf sets. postconf 3.7 adds config_directory when it is told the directory."""
    winners = main_cf.winners
    return {
        name: Parameter(
            value=value, where=f"main.cf:{winners[name].number}" if name in winners else "main.cf"
        )
        for name, value in _assignments(text)
        if name in winners or name != "config_directory"
    }


def _services(
    master_cf: MasterCf, parameters: Mapping[str, Parameter], defaults: Mapping[str, str]
) -> tuple[Service, ...]:
    def service(entry: Entry) -> Service:
        overrides = {
            name: Parameter(value=one.value, where=f"master.cf:{one.number}")
            for name, one in entry.winners.items()
        }

        def own(name: str) -> str | None:
            return overrides[name].value if name in overrides else None

        def effective(name: str) -> str | None:
            found = own(name)
            if found is None and name in parameters:
                found = parameters[name].value
            return defaults.get(name) if found is None else found

        return Service(
            name=entry.name,
            command=entry.command,
            where=f"master.cf:{entry.number}",
            role=role_of(entry.name, entry.command, own, effective),
            overrides=overrides,
        )

    return tuple(service(one) for one in master_cf.services.values())


def _file_state(path: str) -> FileState:
    try:
        status = os.stat(path)
    except OSError as error:
        return FileState(problem=error.strerror or str(error))
    return FileState(mode=stat.S_IMODE(status.st_mode), owner=status.st_uid)


def is_running(queue_directory: str) -> bool:
    """Whether this instance's master runs: its pid file names a live process called master."""
    try:
        with open(os.path.join(queue_directory, "pid", "master.pid"), "rb") as file:
            pid = int(file.read(32).split(b"\0")[0])
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read(32).strip() == b"master"
    except (OSError, ValueError):
        return False


def discover_instances() -> tuple[str, ...]:
    """Every instance that Postfix knows: the default one, then its multi_instance_directories.

    Errors: PostfixError when Postfix is not installed.
    """
    postconf = find_program("postconf")
    default = start([postconf, "-dh", "config_directory"])
    more = start([postconf, "-xh", "multi_instance_directories"])
    directory = default.wait(DEADLINE).stdout.strip()
    others = more.wait(DEADLINE).stdout.replace(",", " ").split()
    return tuple(dict.fromkeys([directory, *others]))
