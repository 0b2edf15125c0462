"""Instances made from texts, with the defaults of a stated Postfix and this host's OpenSSL."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from postkeel.core.model import Absent
from postkeel.postfix.instance import FileState, Instance, Parameter, Service
from postkeel.postfix.main_cf import read_main_cf
from postkeel.postfix.master_cf import read_master_cf
from postkeel.postfix.roles import role_of
from postkeel.shell.openssl import command_version, suites_for

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

RELEASES = Path(__file__).parents[1] / "cases/releases"
DEBIAN_12, DEBIAN_13, DEBIAN_SID = "3.7.11", "3.10.13", "3.11.7"


def _nearest(version):
    """The stored release whose TLS defaults are those of this version too."""
    if version >= (3, 11):
        return DEBIAN_SID
    return DEBIAN_13 if version >= (3, 8) else DEBIAN_12


# 3.7 has these values as >=TLSv1.
_BEFORE_3_6 = dict.fromkeys(
    (
        f"{family}_tls_{kind}protocols"
        for family in ("smtpd", "smtp", "lmtp")
        for kind in ("", "mandatory_")
    ),
    "!SSLv2, !SSLv3",
)


@cache
def stored_release(name):
    """(defaults, types of tables), as postconf -d and -m gave them on a Debian."""
    lines = (RELEASES / f"{name}.defaults").read_text().splitlines()
    defaults = dict(line.split(" =", 1) for line in lines)
    types = (RELEASES / f"{name}.types").read_text().split()
    return {name: value.strip() for name, value in defaults.items()}, tuple(types)


def _release(text):
    version = tuple(int(one) for one in text.split("."))
    defaults, types = stored_release(_nearest(version))
    older = _BEFORE_3_6 if version < (3, 6) else {}
    return defaults | older | {"mail_version": text}, types


def make_instance(
    main_cf="",
    master_cf=MASTER_CF,
    *,
    postfix=DEBIAN_12,
    openssl=None,
    policies=None,
    references=None,
    suites=True,
):
    """An instance as the agent would see it, on this release of Postfix and this host's OpenSSL."""
    defaults, types = _release(postfix)
    own_openssl = command_version()
    parameters = {
        name: Parameter(value=one.value, where=f"main.cf:{one.number}")
        for name, one in read_main_cf(main_cf).winners.items()
    }
    made = Instance(
        config_directory="/etc/postfix",
        version=postfix,
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


@pytest.fixture
def stored_defaults():
    """The stored defaults of a release of Postfix, and of the versions that share them."""
    return lambda version: _release(version)[0]
