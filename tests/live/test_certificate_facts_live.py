"""What postkeel says is used, held against what a real Postfix shows."""

from __future__ import annotations

import subprocess
import time

import pytest

from guarded import until
from lineages import Issuer
from postkeel.certificates.values import Kind
from postkeel.core.configuration import CertificateSources
from postkeel.postfix.handshake import Handshake, endpoints
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.certificate_facts import KeptCertificates
from postkeel.shell.handshake import made
from postkeel.shell.postfix_facts import gather_instance

pytestmark = pytest.mark.live

NAMES = ("a", "b", "c", "d", "e", "f", "s", "t", "p")
SMTPD = """\
2501 inet n - n - - smtpd -o smtpd_tls_chain_files={etc}/b.pem
2502 inet n - n - - smtpd -o smtpd_tls_eccert_file={etc}/c.pem
2503 inet n - n - - smtpd -o smtpd_tls_cert_file=NONE -o smtpd_tls_chain_files={etc}/d.pem
2504 inet n - n - - smtpd -o smtpd_tls_eccert_file=none
2505 inet n - n - - smtpd -o smtpd_tls_security_level=none
2506 inet n - n - - smtpd -o smtpd_tls_chain_files={etc}/e.key,{etc}/e.crt
2507 inet n - n - - smtpd -o smtpd_tls_cert_file={etc}/f.crt -o smtpd_tls_key_file=
2508 inet n - n - - smtpd -o tls_server_sni_maps=hash:{etc}/sni
2509 inet n - n - - smtpd -o tls_server_sni_maps=texthash:{etc}/sni
2510 inet n - n - - smtpd -o tls_server_sni_maps=cdb:{etc}/sni
2511 inet n - n - - smtpd -o tls_server_sni_maps=lmdb:{etc}/sni
2512 inet n - n - - smtpd -o tls_server_sni_maps=regexp:{etc}/patterns
2513 inet n - n - - smtpd -o {{ tls_server_sni_maps = inline:{{ s.example.org={etc}/s.pem }} }}
2514 inet n - n - - smtpd -o tls_server_sni_maps=static:{etc}/s.pem
2515 inet n - n - - smtpd -o tls_server_sni_maps=btree:{etc}/held
2520 inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
tlsproxy unix - - n - 0 tlsproxy
dnsblog unix - - n - 0 dnsblog
"""
PARAMETERS = {
    "smtpd_tls_security_level": "may",
    "smtp_tls_security_level": "may",
    "tlsproxy_tls_chain_files": "{etc}/p.pem",
    "postscreen_access_list": "",
    "postscreen_greet_wait": "1s",
    "postscreen_pipelining_enable": "yes",
}


class Desk:
    """A Postfix with a service for each rule, and the leaf of each letter's certificate."""

    def __init__(self, postfix) -> None:
        self.postfix = postfix
        etc = postfix.main_cf.parent
        self.issuer = Issuer(etc / "authority")
        self.leaf = {}
        for name in NAMES:
            kind = "ecdsa" if name == "c" else "rsa"
            issued = self.issuer.issue(f"{name}.example.org", kind=kind)
            self.leaf[name] = issued.leaf
            (etc / f"{name}.pem").write_bytes(issued.key + issued.fullchain)
            (etc / f"{name}.key").write_bytes(issued.key)
            (etc / f"{name}.crt").write_bytes(issued.fullchain)
        (etc / "sni").write_text(
            f"S.example.org {etc}/s.pem\n.t.example.org\n  {etc}/t.key,\n  {etc}/t.crt\n"
        )
        (etc / "held").write_text((etc / "sni").read_text())
        (etc / "patterns").write_text(f"/^s\\./ {etc}/s.pem\n")
        parameters = {name: value.format(etc=etc) for name, value in PARAMETERS.items()}
        postfix.set_parameters({**parameters, "smtpd_tls_cert_file": f"{etc}/a.pem"})
        postfix.set_parameters({"smtpd_tls_key_file": "$smtpd_tls_cert_file"})
        with postfix.master_cf.open("a") as master:
            master.write(SMTPD.format(etc=etc))
        for kind, name in (("hash", "sni"), ("cdb", "sni"), ("lmdb", "sni"), ("btree", "held")):
            command = ["/usr/sbin/postmap", "-c", str(etc), "-F", f"{kind}:{etc}/{name}"]
            subprocess.run(command, check=True)
        (etc / "held").unlink()
        postfix.start()
        self.kept = KeptCertificates(CertificateSources(roots=str(self.issuer.roots)))
        self.instance = gather_instance(postfix.config_directory, defaults=DefaultsCache())
        self.found = self.kept.of(self.instance)
        self.endpoints = {one.port: one for one in endpoints(self.instance)}

    def declared(self, port: str, name: str = "") -> set[str]:
        """The leaves that a client of this port may be shown, who asks for a name of the table."""
        service = self.endpoints[port].service
        uses = [one for one in self.found.uses if service in one.services and not one.client]
        wanted = [one for one in uses if one.name == name and bool(one.table) == bool(name)]
        loaded = [self.found.loaded[one.credential] for one in wanted]
        usable = (one for one in loaded if not any(fault.breaks for fault in one.faults))
        return {chain.leaf.sha256 for one in usable for chain in one.chains}

    def shown(self, port: str, name: str = "") -> str:
        blank = Handshake(endpoint=self.endpoints[port], name=name)
        return made(blank, time.monotonic() + 20).certificate_sha256


@pytest.fixture(scope="module")
def desk():
    import private_postfix as bed

    if reason := bed.why_not():
        pytest.skip(reason)
    with bed.private_postfix(start=False) as postfix:
        yield Desk(postfix)


@pytest.mark.parametrize(
    ("port", "letters"),
    [
        ("25", "a"),
        ("587", "a"),
        ("465", "a"),
        ("2501", "b"),
        ("2502", "ac"),
        ("2503", "d"),
        ("2506", "e"),
        ("2508", "a"),
    ],
)
def test_the_certificate_without_a_name(desk, port, letters):
    assert desk.declared(port) == {desk.leaf[one] for one in letters}
    assert desk.shown(port) in desk.declared(port)


@pytest.mark.parametrize("port", ["2504", "2507"])
def test_one_that_breaks_takes_the_service_its_tls(desk, port):
    """A file called "none", and a key without a name: smtpd goes on without any certificate."""
    service = desk.endpoints[port].service
    used = [one.credential for one in desk.found.uses if service in one.services]
    assert any(fault.breaks for one in used for fault in desk.found.loaded[one].faults)
    assert desk.shown(port) == ""


def test_a_service_without_tls_uses_none(desk):
    assert "2505" not in desk.endpoints
    assert not any("2505/inet" in one.services for one in desk.found.uses)


@pytest.mark.parametrize("port", ["2508", "2509", "2510", "2511", "2515"])
def test_certificates_by_names(desk, port):
    for name, asked, letter in (
        ("s.example.org", "S.example.org", "s"),
        (".t.example.org", "x.t.example.org", "t"),
    ):
        assert desk.declared(port, name) == {desk.leaf[letter]}
        assert desk.shown(port, asked) == desk.leaf[letter]
    assert desk.shown(port, "unknown.example.org") in desk.declared(port)


def test_what_indexed_tables_hold(desk):
    for table, one in desk.found.tables.items():
        assert one.problem == ""
        if one.indexed:
            held = {"s.example.org": (desk.leaf["s"],), ".t.example.org": (desk.leaf["t"],)}
            assert one.held == held, table
    kinds = {one.credential.kind for one in desk.found.uses if "2515/inet" in one.services}
    assert Kind.TABLE in kinds


@pytest.mark.parametrize("port", ["2512", "2513", "2514"])
def test_tables_that_are_no_lists_of_names(desk, port):
    service = desk.endpoints[port].service
    uses = [one for one in desk.found.uses if service in one.services and one.table]
    (loaded,) = (desk.found.loaded[one.credential] for one in uses)
    assert loaded.chains[0].leaf.sha256 == desk.leaf["s"]
    assert desk.shown(port, "s.example.org") == desk.leaf["s"]


def test_postscreens_clients_see_tlsproxys(desk):
    assert desk.declared("2520") == {desk.leaf["a"], desk.leaf["p"]}
    assert until(lambda: desk.shown("2520"), 30) == desk.leaf["p"]


def test_a_renewal_is_seen_at_the_next_look(desk):
    def look():
        again = gather_instance(desk.postfix.config_directory, defaults=DefaultsCache())
        return desk.kept.of(again)

    assert look() == desk.found
    etc = desk.postfix.main_cf.parent
    issued = desk.issuer.issue("b.example.org")
    (etc / "b.pem").write_bytes(issued.key + issued.fullchain)
    found = look()
    changed = [one for one in found.loaded if found.loaded[one] != desk.found.loaded[one]]
    assert [one.files for one in changed] == [(f"{etc}/b.pem",)]
    assert found.loaded[changed[0]].chains[0].leaf.sha256 == issued.leaf
