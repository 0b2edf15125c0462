"""The certificate watcher on facts of a real Postfix, its real files, and real handshakes."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import private_postfix as bed
from certificates import make_certificate
from postkeel.contract import BuildTable, Event, EventKind, Finding, LookAgain, Need, Reload
from postkeel.core.configuration import CertificateSources
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.certificate_facts import KeptCertificates
from postkeel.shell.documents import Profiles
from postkeel.shell.postfix_facts import gather_instance
from postkeel.shell.served import KeptServed
from postkeel_plugins import certificate_watcher

pytestmark = pytest.mark.live
HOST = "mail.example.test"
PROFILE = Profiles("/nonexistent/postkeel.toml").get("intermediate")


@pytest.fixture
def postfix():
    if reason := bed.why_not():
        pytest.skip(reason)
    with bed.private_postfix() as started:
        yield started


class Watched:
    """What the watcher says of an instance, each time anew."""

    def __init__(self, postfix) -> None:
        self.postfix = postfix
        self.directory = postfix.config_directory
        self._certificates = KeptCertificates(CertificateSources(roots=str(postfix.authority)))

    def observed(self, *, settle: int = 0):
        instance = gather_instance(self.directory, defaults=DefaultsCache())
        certificates = self._certificates.of(instance)
        facts = {
            "postfix": instance,
            "profile": PROFILE,
            "certificates": certificates,
            "served": KeptServed(None).of(instance, certificates),
        }
        needs = {Need(kind=kind, subject=self.directory): one for kind, one in facts.items()}
        event = Event(kind=EventKind.TIMER, instance=self.directory, time=datetime.now(UTC))
        options = {"settle_seconds": settle}
        return certificate_watcher.keel_observe(event, self.directory, needs, options)

    def errors(self):
        found = [one for one in self.observed() if isinstance(one, Finding)]
        return {one.rule: one for one in found if one.severity.value == "error"}

    @property
    def files(self) -> tuple[Path, Path]:
        directory = Path(self.directory)
        return directory / "smtpd_tls_cert_file.pem", directory / "smtpd_tls_key_file.pem"


@pytest.fixture
def watched(postfix):
    found = Watched(postfix)
    assert found.errors() == {}
    return found


def renewed(days: int = 60, kind: str = "rsa", host: str = HOST):
    return make_certificate(kind, host=host, address="127.0.0.1", days=days)


def test_a_self_signed_certificate_is_no_error_and_said_to_mail_programs(watched):
    watched.files[0].write_text(renewed().certificate)
    watched.postfix.reload()
    assert not until_none(watched)
    (found,) = watched.observed()
    assert (found.rule, found.severity.value) == ("certificate-chain", "warning")
    assert found.effective == "self-signed"


def test_a_renewal_asks_for_a_reload_until_it_is_served(watched):
    file, _ = watched.files
    file.write_text(renewed().certificate)
    (found,) = watched.errors().values()
    assert (found.rule, found.remedy) == ("certificate-served", (Reload(),))
    assert found.file == str(file)
    assert found.parameter == "smtpd_tls_cert_file"
    assert f"`postfix -c {watched.directory} reload`" in found.why
    watched.postfix.reload()
    assert not until_none(watched)


def test_a_foreign_key_is_waited_for_and_then_forbids_the_reload(watched):
    file, key = watched.files
    foreign = renewed(kind="ecdsa")
    file.write_text(foreign.certificate)
    (again,) = watched.observed(settle=60)
    assert isinstance(again, LookAgain)
    assert 50 < again.seconds <= 60.2
    (found,) = watched.errors().values()
    assert (found.rule, found.remedy, found.forbids_reload) == ("certificate-usable", (), True)
    assert found.file == str(file)
    key.write_text(foreign.key)
    (found,) = watched.errors().values()
    assert (found.rule, found.remedy) == ("certificate-served", (Reload(),))


def test_an_expired_one_forbids_the_reload_while_another_is_served(watched):
    file, _ = watched.files
    file.write_text(renewed(days=-1).certificate)
    (found,) = watched.errors().values()
    assert (found.rule, found.forbids_reload) == ("certificate-lifetime", True)
    assert "Not reloaded: there is still another certificate at smtp/inet" in found.why
    watched.postfix.reload()
    # Now that it is served, nothing is kept from anybody by not reloading.
    deadline = time.monotonic() + 30
    while (found := watched.errors()["certificate-lifetime"]).forbids_reload:
        assert time.monotonic() < deadline
    assert watched.errors().keys() == {"certificate-lifetime"}


def test_an_indexed_table_is_built_anew(postfix):
    shop = Path(postfix.config_directory) / "shop.pem"
    source = Path(postfix.config_directory) / "sni"
    types = postfix.postconf("-m").split()
    table = f"{next(one for one in ('hash', 'lmdb', 'cdb') if one in types)}:{source}"
    one = renewed(host="shop.example")
    shop.touch(mode=0o600)
    shop.write_text(one.key + one.certificate)
    source.write_text(f"shop.example {shop}\n")
    postmap = ["postmap", "-c", postfix.config_directory, "-F", table]
    subprocess.run(postmap, check=True)
    postfix.set_parameters({"tls_server_sni_maps": table})
    postfix.reload()
    watched = Watched(postfix)
    assert not until_none(watched)
    one = renewed(host="shop.example")
    shop.write_text(one.key + one.certificate)
    (found,) = watched.errors().values()
    assert found.remedy == (BuildTable(table=table), Reload())
    assert (found.rule, found.file) == ("certificate-served", str(shop))
    subprocess.run(postmap, check=True)
    postfix.reload()
    assert not until_none(watched)


def until_none(watched) -> dict[str, Finding]:
    """The errors, when there are none any more: smtpd processes that run answer once more."""
    deadline = time.monotonic() + 30
    while errors := watched.errors():
        if time.monotonic() > deadline:
            break
    return errors


def test_a_key_that_anybody_may_read_is_left_to_the_profile_s_rule(watched):
    _, key = watched.files
    os.chmod(key, 0o644)
    assert watched.errors() == {}
