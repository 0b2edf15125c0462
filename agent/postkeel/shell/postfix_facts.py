"""Gathers the facts of a Postfix instance: postconf's word, and the lines it does not tell."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from postkeel.core.errors import PostfixError
from postkeel.core.text import one_line
from postkeel.postfix.instance import FileState, Instance, Parameter, Service, parse_version
from postkeel.postfix.main_cf import MainCf, read_main_cf
from postkeel.postfix.master_cf import Entry, MasterCf, read_master_cf
from postkeel.postfix.references import referenced_files
from postkeel.postfix.roles import role_of
from postkeel.shell.built_in import DEADLINE, DefaultsCache, assignments
from postkeel.shell.command import find_program, start
from postkeel.shell.config_file import LARGEST, cool, is_hot
from postkeel.shell.master_process import is_running

if TYPE_CHECKING:
    from postkeel.shell.suites import KeptSuites

OLDEST = (3, 4)
_WARNING = "postconf: warning: "  # after the directory by which it was started
_SAYS = "postconf: "


def gather_instance(
    config_directory: str, *, defaults: DefaultsCache, suites: KeptSuites | None = None
) -> Instance:
    """All facts of one instance.

    suites: of an agent; a command that soon ends asks OpenSSL in its own process.
    Values are postconf's; lines are those of our own reading of the files.
    Errors: PostfixError when Postfix is missing, a file cannot be read, or
    postconf refuses the configuration, with its words and the line if known.
    """
    texts = {name: _read(os.path.join(config_directory, name)) for name in ("main.cf", "master.cf")}
    postconf = find_program("postconf")
    with readable_now(config_directory, texts) as directory:
        asked = start([postconf, "-c", directory, "-n"])
        defaults.begin(postconf, directory)
        if suites is None:
            import ssl  # noqa: F401  for `suites_for` below: 8 ms, and postconf runs meanwhile

        main_cf = read_main_cf(texts["main.cf"])
        master_cf = read_master_cf(texts["master.cf"])
        answer = asked.wait(DEADLINE)
        built_in = defaults.get()
        said = answer.stderr.replace(directory, config_directory)
        if answer.status != 0:
            raise PostfixError(_refusal(config_directory, said, main_cf, master_cf))
        if not master_cf.services:
            raise PostfixError(f"{config_directory}/master.cf: no services; perhaps half-written")
        version = _known_version(built_in.defaults.get("mail_version", ""))
        parameters = _parameters(answer.stdout, main_cf)
        bare = Instance(
            config_directory=config_directory,
            version=version,
            openssl=built_in.openssl,
            map_types=built_in.map_types,
            parameters=parameters,
            defaults={**built_in.defaults, "config_directory": config_directory},
            services=_services(master_cf, parameters, built_in.defaults),
            main_cf=texts["main.cf"],
            master_cf=texts["master.cf"],
            warnings=(*_warnings(said), *_passed_over(main_cf, master_cf)),
            unused=_unused(main_cf, parameters, built_in.defaults),
        )
        return _with_surroundings(bare, directory, suites)


def _known_version(text: str) -> str:
    """The version, if there are rules for it: what is written hangs on it."""
    if parse_version(text) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise PostfixError(f"postconf: mail_version is {text!r}: postkeel knows {oldest} and later")
    return text


def _with_surroundings(bare: Instance, readable: str, suites: KeptSuites | None) -> Instance:
    """The instance with what lies outside its two files: files, tables, OpenSSL, processes."""
    from postkeel.shell.openssl import suites_for
    from postkeel.shell.policy_tables import policies_of

    return replace(
        bare,
        running=is_running(bare.effective("queue_directory").value),
        references={path: _file_state(path) for path in referenced_files(bare)},
        suites=suites.of(bare) if suites else suites_for(bare),
        policies=policies_of(bare, readable),
    )


def _read(path: str) -> str:
    try:
        # O_NONBLOCK: a named pipe is refused below instead of waited for
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PostfixError(f"{path}: not a file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise PostfixError(f"{path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise PostfixError(f"{path}: larger than 1 MiB, which no configuration of Postfix is")
    return content.decode("utf-8", "surrogateescape")


@contextmanager
def readable_now(config_directory: str, texts: Mapping[str, str]) -> Iterator[str]:
    """A directory that postconf reads without waiting.

    Of a main.cf younger than two seconds postconf waits until it is that old
    (dict_load_file: its writer may not have finished). The watcher has seen the
    writer finish, so postconf is given a private copy that is dated back.
    """
    if not is_hot(os.path.join(config_directory, "main.cf")):
        yield config_directory
        return
    scratch = os.environ.get("TMPDIR", "/tmp")  # noqa: S108  a name nobody can guess, made 0700
    copy = os.path.join(scratch, f"postkeel-{os.urandom(8).hex()}")
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
    """The line that our reading makes responsible, else postconf's own words, warnings included."""
    refuses = "postconf refuses the configuration"
    known = [f"{directory}/{one}; {refuses}" for one in (*main_cf.problems, *master_cf.problems)]
    if known:
        return known[0]
    lines = [one.partition(_SAYS)[2] or one for one in said.split("\n") if one.strip()]
    words = "; ".join(dict.fromkeys(one.removeprefix("fatal: ") for one in lines))
    return f"{directory}: {refuses}: {one_line(words or 'no reason given', 400)}"


def _warnings(said: str) -> Iterator[str]:
    for line in dict.fromkeys(said.splitlines()):
        yield one_line(line.partition(_WARNING)[2] or line, 400)


def _passed_over(main_cf: MainCf, master_cf: MasterCf) -> Iterator[str]:
    """What Postfix, and mostly postconf too, passes over in silence."""
    for problem in (*main_cf.ignored, *master_cf.ignored):
        yield one_line(str(problem), 400)
    for name, entry in master_cf.services.items():
        if len(master_cf.all_of(name)) > 1:
            again = f"{one_line(name, 80)} is there again; this entry counts"
            yield f"master.cf:{entry.number}: {again}"


def _unused(
    main_cf: MainCf, parameters: Mapping[str, Parameter], defaults: Mapping[str, str]
) -> dict[str, Parameter]:
    """What main.cf sets without effect: postconf -n leaves such names out."""
    return {
        name: Parameter(value=one.value, where=f"main.cf:{one.number}")
        for name, one in main_cf.winners.items()
        if name not in parameters and name not in defaults
    }


def _parameters(text: str, main_cf: MainCf) -> dict[str, Parameter]:
    """What main.cf sets. postconf 3.7 adds config_directory when it is told the directory."""
    winners = main_cf.winners
    return {
        name: Parameter(
            value=value, where=f"main.cf:{winners[name].number}" if name in winners else "main.cf"
        )
        for name, value in assignments(text)
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


def queue_directory(config_directory: str) -> str:
    """Where an instance's queue is, asked of postconf. PostfixError when it does not say."""
    argv = [find_program("postconf"), "-c", config_directory, "-xh", "queue_directory"]
    answer = start(argv).wait(DEADLINE)
    if answer.status != 0:
        raise PostfixError(f"{config_directory}: {one_line(answer.stderr.strip(), 400)}")
    return answer.stdout.strip()


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
