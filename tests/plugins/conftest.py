"""Instances made from texts, with the real postconf's defaults and the real OpenSSL's suites."""

import subprocess
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from postkeel.core.model import Absent
from postkeel.postfix.instance import FileState, Instance, Parameter, Service
from postkeel.postfix.main_cf import read_main_cf
from postkeel.postfix.master_cf import read_master_cf
from postkeel.postfix.roles import role_of
from postkeel.shell.openssl import suites_for

MASTER_CF = """\
smtp       inet  n - n - - smtpd
submission inet  n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
submissions inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
smtp       unix  - - n - - smtp
relay      unix  - - n - - smtp
lmtp       unix  - - n - - lmtp
cleanup    unix  n - n - 0 cleanup
"""

# What differs between the built-in defaults of releases, as far as rules look at it.
_EXCLUDED = ":!aNULL:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5".removeprefix(
    ":!aNULL"
)
_SINCE = {
    (3, 6): {
        f"{family}_tls_{kind}protocols": ">=TLSv1"
        for family in ("smtpd", "smtp", "lmtp")
        for kind in ("", "mandatory_")
    },
    (3, 8): {
        "tls_high_cipherlist": f"aNULL:-aNULL:HIGH{_EXCLUDED}:@STRENGTH",
        "tls_medium_cipherlist": f"aNULL:-aNULL:HIGH:MEDIUM{_EXCLUDED}:+RC4:@STRENGTH",
        "tls_low_cipherlist": "",
        "tls_export_cipherlist": "",
        "tls_null_cipherlist": f"eNULL{_EXCLUDED.replace(':!aNULL', '')}:!aNULL",
    },
    (3, 11): {"smtp_tls_security_level": "${{$compatibility_level} <level {3.11} ? {} : {may}}"},
}
_BEFORE = {
    (3, 6): dict.fromkeys(_SINCE[3, 6], "!SSLv2, !SSLv3"),
}


@cache
def _answers():
    """This host's built-in defaults, table types and OpenSSL."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "main.cf").touch()

        def ask(*arguments):
            command = ["/usr/sbin/postconf", "-c", directory, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return done.stdout.splitlines()

        defaults = dict(line.split(" =", 1) for line in ask("-d"))
        types = tuple(ask("-m"))
        openssl = ask("-T", "run-version")[0]
    return {name: value.strip() for name, value in defaults.items()}, types, openssl


def _defaults(version):
    found, _, _ = _answers()
    found = dict(found)
    for since, values in _SINCE.items():
        if version >= since:
            found |= values
    for before, values in _BEFORE.items():
        if version < before:
            found |= values
    return found


def make_instance(
    main_cf="",
    master_cf=MASTER_CF,
    *,
    postfix=None,
    openssl=None,
    policies=None,
    references=None,
    suites=True,
):
    """An instance as the agent would see it; `postfix` stands for another release."""
    defaults, types, own_openssl = _answers()
    version = postfix or defaults["mail_version"]
    defaults = _defaults(tuple(int(one) for one in version.split("."))) | {"mail_version": version}
    parameters = {
        name: Parameter(value=one.value, where=f"main.cf:{one.number}")
        for name, one in read_main_cf(main_cf).winners.items()
    }
    made = Instance(
        config_directory="/etc/postfix",
        version=version,
        openssl=openssl or own_openssl,
        map_types=types,
        parameters=parameters,
        defaults=defaults,
        services=tuple(
            _service(entry, parameters, defaults) for entry in read_master_cf(master_cf).entries
        ),
        policies={
            name: Absent(reason=entries) if isinstance(entries, str) else entries
            for name, entries in (policies or {}).items()
        },
        references={
            path: FileState(problem=state) if not state.isdigit() else FileState(mode=int(state, 8))
            for path, state in (references or {}).items()
        },
    )
    if not suites:
        return made
    return replace(made, suites=suites_for(replace(made, openssl=own_openssl)))


def _service(entry, parameters, defaults):
    overrides = {
        name: Parameter(value=one.value, where=f"master.cf:{one.number}")
        for name, one in entry.winners.items()
    }

    def own(name):
        return overrides[name].value if name in overrides else None

    def effective(name):
        for table in (overrides, parameters):
            if name in table:
                return table[name].value
        return defaults.get(name)

    return Service(
        name=entry.name,
        command=entry.command,
        where=f"master.cf:{entry.number}",
        role=role_of(entry.name, entry.command, own, effective),
        overrides=overrides,
    )


@pytest.fixture(name="make_instance")
def _make_instance():
    return make_instance
