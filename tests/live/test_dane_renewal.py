"""A renewal under DANE: a key that no TLSA record is published for is held back, and said so."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import signed_zone
from guarded import guarded, until
from lineages import Issuer, Lineage
from smtp_load import shown

pytestmark = [pytest.mark.live, pytest.mark.slow]

HOST = "mx.signed.example"
PATIENCE = 30
RELOADED = "reload -- version"


@pytest.fixture
def resolver(tmp_path):
    if reason := signed_zone.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with signed_zone.resolver(tmp_path) as one:
        yield one


@pytest.fixture
def lineage(tmp_path):
    issuer = Issuer(tmp_path / "issuer")
    return Lineage(tmp_path / "letsencrypt", HOST, issuer), issuer.roots


@contextlib.contextmanager
def agent_of(postfix, roots: Path, resolver: signed_zone.Resolver):
    more = (
        "[contest]\ncorrections = 1000\n"
        f'[certificates]\nroots = "{roots}"\nresolver = "{resolver.address}"\nlineages = []\n'
        "[plugins.certificate_watcher]\nsettle_seconds = 2\ncheck_interval = 2\ncheck_splay = 0\n"
    )
    with guarded(postfix, more=more, catch=True) as one:
        yield one


def served(postfix, roots: Path) -> str:
    return shown(postfix.address, name=HOST, roots=roots)


def record(file: Path) -> str:
    """The TLSA record of the first certificate in a file."""
    key = x509.load_pem_x509_certificate(file.read_bytes()).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(octets).hexdigest()}"


def test_a_key_is_published_before_it_goes_live(start_postfix, resolver, lineage):
    files, roots = lineage
    leaf = files.renew()
    resolver.publish("25", HOST, record(files.fullchain))
    parameters = {
        "myhostname": HOST,
        "smtpd_tls_security_level": "may",
        "smtpd_tls_chain_files": f"{files.privkey}, {files.fullchain}",
    }
    postfix = start_postfix(certificates=(), parameters=parameters)
    with agent_of(postfix, roots, resolver) as agent:
        agent.report(PATIENCE)
        assert served(postfix, roots) == leaf

        same_key = files.renew(new_key=False)
        until(lambda: served(postfix, roots) == same_key, PATIENCE)
        agent.report_with("fixed", PATIENCE)

        reloads = postfix.log().count(RELOADED)
        new_key = files.renew(new_key=True)
        agent.report_with("certificate-tlsa", PATIENCE)
        assert (
            f"_25._tcp.{HOST}. IN TLSA {record(files.fullchain)}"
            in agent.run("check", "--live").stdout
        )
        assert postfix.log().count(RELOADED) == reloads  # what runs keeps the certificate it has

        resolver.publish("25", HOST, record(files.fullchain))
        until(lambda: postfix.log().count(RELOADED) > reloads, PATIENCE)
        until(lambda: served(postfix, roots) == new_key, PATIENCE)
        agent.report_with("fixed", PATIENCE)
