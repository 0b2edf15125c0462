"""Asks OpenSSL which suites a cipher string comes to.

The answer must come from the OpenSSL that Postfix runs with. Python's own is
asked when it is the same version (no process is started); else the openssl
command, when that is the same; else the fact is absent, with the reason.

Python's is not asked once the library `cryptography` is loaded: that loads
OpenSSL's legacy provider into the process, and with it suites (SEED) that
Postfix does not have. A context made before that stays as it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from postkeel.core.errors import PostfixError
from postkeel.core.model import Absent
from postkeel.postfix.ciphers import all_cipher_strings
from postkeel.postfix.instance import Instance, Suite

Answer = tuple[Suite, ...] | Absent

# Postfix sets security level 0, whatever the system's OpenSSL configuration says.
_LEVEL = ":@SECLEVEL=0"
_DEADLINE = 5.0
_MOST_ANSWERS = 256


def suites_for(instance: Instance) -> Mapping[str, Answer]:
    """Every cipher string that this instance uses, with its suites.

    Suites by shared password (PSK, SRP) are left out: Postfix has no use for
    them, so OpenSSL does not offer them.
    Diagnostics: a string that OpenSSL rejects, or finds no cipher in, comes to
    no suites at all: Postfix then refuses every handshake.
    """
    strings = all_cipher_strings(instance)
    try:
        ask = source_for(instance.openssl)
    except PostfixError as error:
        return dict.fromkeys(strings, Absent(reason=str(error)))
    return {string: ask(string) for string in strings}


@cache  # the first source is kept: made early it is Python's, and a process is saved each round
def source_for(wanted: str) -> Callable[[str], Answer]:
    """What to ask for the suites of this OpenSSL; PostfixError, asked anew, when there is none."""
    import ssl

    if wanted == ssl.OPENSSL_VERSION and "cryptography" not in sys.modules:
        return python_source()
    found = command_version()
    if wanted and wanted == found:
        return command_source()
    raise PostfixError(
        f"Postfix runs with {wanted or 'an unknown OpenSSL'}; Python has {ssl.OPENSSL_VERSION}"
        f" and the openssl command {found}"
    )


def python_source() -> Callable[[str], Answer]:
    """Asks the OpenSSL that Python is linked with."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    known: dict[str, Suite] = {}

    def ask(string: str) -> Answer:
        try:
            context.set_ciphers(string + _LEVEL)
        except (ssl.SSLError, ValueError):
            return ()
        return _usable((str(one["description"]) for one in context.get_ciphers()), known)

    return ask


def command_version() -> str:
    """What the openssl command's library calls itself."""
    from postkeel.shell.command import find_program, run

    answer = run([find_program("openssl"), "version"], _DEADLINE).stdout.strip()
    library = answer.rpartition("(Library: ")[2]
    return library.removesuffix(")")


def command_source() -> Callable[[str], Answer]:
    """Asks the openssl command."""
    from postkeel.shell.command import find_program, run

    program = find_program("openssl")
    known: dict[str, Suite] = {}
    answers: dict[str, Answer] = {}

    def ask(string: str) -> Answer:
        if string not in answers:
            if len(answers) >= _MOST_ANSWERS:
                answers.clear()
            answers[string] = fresh(string)
        return answers[string]

    def fresh(string: str) -> Answer:
        try:
            done = run([program, "ciphers", "-s", "-v", string + _LEVEL], _DEADLINE)
        except PostfixError as error:
            return Absent(reason=str(error))
        if done.status != 0:
            return ()
        return _usable(done.stdout.splitlines(), known)

    return ask


def _usable(lines: Iterable[str], known: dict[str, Suite]) -> tuple[Suite, ...]:
    """One line of `openssl ciphers -v` a suite, less those by shared password."""
    found = []
    for line in lines:
        name = line.split(None, 1)[0]
        suite = known.get(name)
        if suite is None:
            suite = known[name] = _suite(line)
        if "PSK" not in suite.key_exchange and suite.key_exchange != "SRP":
            found.append(suite)
    return tuple(found)


def _suite(line: str) -> Suite:
    name, protocol, *fields = line.split()
    values = dict(field.split("=", 1) for field in fields if "=" in field)
    return Suite(
        name=name,
        protocol=protocol,
        key_exchange=values.get("Kx", ""),
        authentication=values.get("Au", ""),
        encryption=values.get("Enc", ""),
        mac=values.get("Mac", ""),
    )
