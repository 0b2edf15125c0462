"""Certificates that real renewers renew go live by themselves, and wrong ones do not.

certbot, lego and pebble are Debian's; acme.sh is not in Debian, so what it does to files is
done here by the same commands in the same order. No renewer has a hook, and nobody reloads
Postfix but the agent.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shlex
import smtplib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import acme
from acme import Certbot, Lego
from guarded import Guarded, guarded, until
from lineages import Issued, Issuer, Lineage, fingerprint
from private_postfix import PrivatePostfix
from smtp_load import HOST, shown, shown_everywhere

pytestmark = pytest.mark.live

PATIENCE = 30
SNI = "other.example.test"
TLS = {"smtpd_tls_security_level": "may"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A Postfix, the agent that keeps it, and the roots that a client believes."""

    postfix: PrivatePostfix
    agent: Guarded
    roots: Path

    def serves(self, pem: bytes | Path) -> bool:
        """Whether all services show the first certificate of this, chain and all."""
        wanted = fingerprint(pem.read_bytes() if isinstance(pem, Path) else pem)
        return shown_everywhere(self.postfix.address, self.roots) == {wanted}

    def goes_live(self, pem: bytes | Path) -> None:
        """Wait until that is so, and the agent has said that it mended something."""

        def is_live() -> bool:
            with contextlib.suppress(OSError, smtplib.SMTPException):  # there was no TLS before
                return self.serves(pem)
            return False

        until(is_live, PATIENCE)
        self.agent.report_with("fixed", PATIENCE)

    def shows(self, name: str, kind: str = "") -> str:
        """The leaf for a client that asks for this name, with such a certificate."""
        return shown(self.postfix.address, name=name, roots=self.roots, kind=kind)

    def reloads(self) -> int:
        """How often Postfix has been told to read its files again."""
        return self.postfix.log().count("reload -- version")


@pytest.fixture
def mail(start_postfix):
    """A function that starts Postfix and agent, and waits until all is as wanted.

    parameters: of main.cf. lineages: the directory of a renewer's lineages. options: lines of
    [plugins.certificate_watcher]. start: False leaves the agent to the test.
    """
    with contextlib.ExitStack() as stack:

        def start(
            roots: Path,
            parameters: dict[str, str],
            *,
            lineages: Path | None = None,
            options: str = "",
            start: bool = True,
        ) -> Mail:
            postfix = start_postfix(certificates=(), parameters=TLS | parameters)
            more = (
                "[contest]\ncorrections = 1000\n"
                f'[certificates]\nroots = "{roots}"\nresolver = ""\n'
                f"lineages = {[str(lineages)] if lineages else []}\n"
                f"[plugins.certificate_watcher]\nsettle_seconds = 2\n{options}\n"
            )
            one = stack.enter_context(guarded(postfix, more=more, start=start, catch=True))
            if start:
                one.report(PATIENCE)
            return Mail(postfix=postfix, agent=one, roots=roots)

        yield start


@pytest.fixture(scope="module")
def pebble(tmp_path_factory) -> Iterator[acme.Pebble]:
    if reason := acme.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with acme.pebble(tmp_path_factory.mktemp("pebble")) as running:
        yield running


@pytest.fixture(scope="module")
def certbot(pebble, tmp_path_factory) -> Certbot:
    """certbot with a certificate for the private Postfix."""
    one = Certbot(tmp_path_factory.mktemp("letsencrypt"), pebble)
    one.issue(HOST)
    return one


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Issuer:
    """Issues where the renewer is not what is tested."""
    return Issuer(tmp_path_factory.mktemp("issuer"))


def chain_files(*directories: Path) -> dict[str, str]:
    """What names the files of these lineages directly."""
    pairs = [f"{one}/privkey.pem, {one}/fullchain.pem" for one in directories]
    return {"smtpd_tls_chain_files": ", ".join(pairs)}


# The real renewers.


def test_a_first_certificate_is_taken_up_and_renewed(pebble, mail, tmp_path):
    """main.cf names no certificate at all: the renewer's is offered, joined, and followed."""
    certbot = Certbot(tmp_path / "letsencrypt", pebble)
    one = mail(pebble.roots, {}, lineages=certbot.live)
    live = certbot.issue(HOST)
    one.goes_live(live / "fullchain.pem")
    joined = Path(one.postfix.config_directory) / "postkeel-chain.pem"
    assert f"smtpd_tls_chain_files = {joined}" in one.postfix.main_cf.read_text()
    assert joined.stat().st_mode & 0o7777 == 0o600
    certbot.renew(HOST)
    one.goes_live(live / "fullchain.pem")


@pytest.mark.parametrize("new_key", [False, True], ids=["the same key", "a new key"])
def test_a_renewal_goes_live(certbot, pebble, mail, new_key):
    live = certbot.live / HOST
    one = mail(pebble.roots, chain_files(live))
    assert one.serves(live / "fullchain.pem")
    before, key = (live / "fullchain.pem").read_bytes(), (live / "privkey.pem").read_bytes()
    certbot.renew(HOST, new_key=new_key)
    one.goes_live(live / "fullchain.pem")
    assert not one.serves(before)
    assert ((live / "privkey.pem").read_bytes() != key) is new_key


def test_rsa_and_ecdsa_side_by_side(certbot, pebble, mail):
    """Each lineage is renewed by itself; the other one stays."""
    live, rsa = certbot.live / HOST, certbot.issue(HOST, key_type="rsa", lineage="rsa")
    one = mail(pebble.roots, chain_files(live, rsa))
    both = [fingerprint((place / "fullchain.pem").read_bytes()) for place in (live, rsa)]
    assert [one.shows(HOST, kind) for kind in ("ecdsa", "rsa")] == both
    certbot.renew("rsa")
    renewed = fingerprint((rsa / "fullchain.pem").read_bytes())
    until(lambda: one.shows(HOST, "rsa") == renewed, PATIENCE)
    assert one.shows(HOST, "ecdsa") == both[0]


def test_a_short_lifetime(mail, tmp_path):
    """Six days and some minutes are judged by their own measure: nothing is wrong with either."""
    if reason := acme.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    for seconds in (6 * 86400, 600):
        with acme.pebble(tmp_path / str(seconds), lifetime=seconds) as pebble:
            lego = Lego(tmp_path / f"lego-{seconds}", pebble)
            certificate, key = lego.issue(HOST)
            one = mail(pebble.roots, {"smtpd_tls_chain_files": f"{key}, {certificate}"})
            one.agent.reports_now()
            lego.renew(HOST)
            one.goes_live(certificate)
            assert "certificate-lifetime" not in str(one.agent.history())


@pytest.mark.parametrize("key_type", ["ecdsa", "rsa"])
def test_lego(pebble, mail, tmp_path, key_type):
    """lego writes over its files: first the certificate with its chain, then the key."""
    lego = Lego(tmp_path, pebble)
    certificate, key = lego.issue(HOST, key_type=key_type)
    named = {"smtpd_tls_cert_file": str(certificate), "smtpd_tls_key_file": str(key)}
    one = mail(pebble.roots, named)
    for new_key in (True, False):
        lego.renew(HOST, new_key=new_key)
        one.goes_live(certificate)


# How else files come: the renewer is not what matters here.

ACME_SH = """
cat {new}/cert.pem >{place}/cert.pem
cat {new}/chain.pem >{place}/ca.pem
cat {new}/privkey.pem >{place}/privkey.pem
cat {new}/fullchain.pem >{place}/fullchain.pem
"""
COPIED = "cp {new}/fullchain.pem {new}/privkey.pem {place}/"
COPIED_SLOWLY = "cp {new}/privkey.pem {place}/; sleep 1; cp {new}/fullchain.pem {place}/"
MOVED = "mv -f {new}/privkey.pem {place}/; mv -f {new}/fullchain.pem {place}/"
RSYNC = """
cp -p {new}/fullchain.pem {place}/.fullchain.pem.Xa1b2c
mv {place}/.fullchain.pem.Xa1b2c {place}/fullchain.pem
cp -p {new}/privkey.pem {place}/.privkey.pem.d3E4f5
mv {place}/.privkey.pem.d3E4f5 {place}/privkey.pem
"""
PIECE_BY_PIECE = """
head -c 300 {new}/fullchain.pem >{place}/fullchain.pem
sleep 0.3
tail -c +301 {new}/fullchain.pem >>{place}/fullchain.pem
sleep 0.3
cat {new}/privkey.pem >{place}/privkey.pem
"""


def put(place: Path, issued: Issued) -> None:
    """The four files that renewers have, in a directory."""
    place.mkdir(exist_ok=True)
    for name in ("cert", "chain", "privkey", "fullchain"):
        (place / f"{name}.pem").touch(mode=0o600)
    (place / "cert.pem").write_bytes(issued.certificate)
    (place / "chain.pem").write_bytes(issued.chain)
    (place / "privkey.pem").write_bytes(issued.key)
    (place / "fullchain.pem").write_bytes(issued.fullchain)


def shell(script: str, **paths: Path) -> None:
    quoted = {name: shlex.quote(str(path)) for name, path in paths.items()}
    subprocess.run(["sh", "-ec", script.format(**quoted)], check=True, timeout=PATIENCE)


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(ACME_SH, id="as acme.sh --install-cert"),
        pytest.param(COPIED, id="cp over it"),
        pytest.param(COPIED_SLOWLY, id="cp, one file a second after the other"),
        pytest.param(MOVED, id="mv over it"),
        pytest.param(RSYNC, id="renamed, as rsync"),
        pytest.param(PIECE_BY_PIECE, id="in pieces"),
    ],
)
def test_whatever_way_the_files_come(authority, mail, tmp_path, way):
    place, new = tmp_path / "used", tmp_path / "new"
    put(place, authority.issue(HOST))
    one = mail(authority.roots, chain_files(place))
    for kind in ("ecdsa", "rsa"):
        issued = authority.issue(HOST, kind=kind)
        put(new, issued)
        shell(way, new=new, place=place)
        assert (place / "fullchain.pem").read_bytes() == issued.fullchain
        one.goes_live(issued.certificate)


@pytest.mark.parametrize("indexed", [True, False], ids=["an indexed table", "texthash"])
def test_a_name_of_the_sni_table(authority, mail, tmp_path, indexed):
    """An indexed table holds keys and certificates itself: it is made anew."""
    main, other = (Lineage(tmp_path, name, authority) for name in (HOST, SNI))
    first = [main.renew(), other.renew()]
    source = tmp_path / "sni"
    source.write_text(f"{SNI} {other.privkey} {other.fullchain}\n")
    kind = "$default_database_type" if indexed else "texthash"
    table = {"tls_server_sni_maps": f"{kind}:{source}"}
    one = mail(authority.roots, chain_files(main.live) | table, start=False)
    if indexed:
        made = one.postfix.postconf("-xh", "tls_server_sni_maps").strip()
        postmap = ["postmap", "-c", one.postfix.config_directory, "-F", made]
        subprocess.run(postmap, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    one.agent.start()
    one.agent.report(PATIENCE)
    assert [one.shows(HOST), one.shows(SNI)] == first
    renewed = other.renew(kind="rsa")
    until(lambda: one.shows(SNI) == renewed, PATIENCE)
    one.agent.report_with("fixed", PATIENCE)
    assert one.shows(HOST) == first[0]


# Nobody reloaded, and nobody said so.


def test_a_forgotten_reload_is_found_at_the_start(authority, mail, tmp_path):
    lineage = Lineage(tmp_path, HOST, authority)
    lineage.renew()
    one = mail(authority.roots, chain_files(lineage.live), start=False)
    assert one.serves(lineage.fullchain)  # by processes that go on living
    before = lineage.fullchain.read_bytes()
    lineage.renew()
    assert one.serves(before)
    one.agent.start()
    one.goes_live(lineage.fullchain)


def without_an_event(path: Path, content: bytes) -> None:
    """Other content of the same size, by a way of which inotify tells nobody."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[:] = content.ljust(len(memory), b"\n")
        memory.flush()


def test_a_forgotten_reload_is_found_by_the_timer(authority, mail, tmp_path):
    """As on a network file system, where what others write makes no event here."""
    key = authority.key("ecdsa")
    place = tmp_path / "used"
    put(place, authority.issue(HOST, key=key))
    chain = place / "fullchain.pem"
    chain.write_bytes(chain.read_bytes() + b"\n" * 100)
    options = "check_interval = 1\ncheck_splay = 0"
    one = mail(authority.roots, chain_files(place), options=options)
    assert one.serves(chain)
    renewed = authority.issue(HOST, key=key)
    without_an_event(chain, renewed.fullchain)
    one.goes_live(renewed.certificate)


# A renewal that is wrong. What is written: the chain's file, and the key's.


def cut_in_the_leaf(issued: Issued, _other: Issued) -> tuple[bytes, bytes]:
    return issued.fullchain[: len(issued.certificate) // 2], issued.key


def cut_in_the_chain(issued: Issued, _other: Issued) -> tuple[bytes, bytes]:
    return issued.fullchain[: -len(issued.chain) // 2], issued.key


def nothing(issued: Issued, _other: Issued) -> tuple[bytes, bytes]:
    return b"", issued.key


def foreign_key(issued: Issued, other: Issued) -> tuple[bytes, bytes]:
    return issued.fullchain, other.key


def no_intermediate(issued: Issued, _other: Issued) -> tuple[bytes, bytes]:
    return issued.certificate, issued.key


def line_of(text: bytes, number: int) -> int:
    """The line on which the certificate of this number begins, from 1."""
    lines = text.decode().splitlines()
    return [at for at, line in enumerate(lines, 1) if line.startswith("-----BEGIN")][number - 1]


@pytest.mark.parametrize(
    ("broken", "file", "number"),
    [
        (cut_in_the_leaf, "fullchain.pem", 1),
        (cut_in_the_chain, "fullchain.pem", 2),
        (nothing, "fullchain.pem", 0),
        (foreign_key, "privkey.pem", 0),
        (no_intermediate, "fullchain.pem", 0),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_wrong_renewal_is_not_reloaded(authority, mail, tmp_path, broken, file, number):
    """The running smtpd go on with the old one, syslog says what is wrong; mended, it goes live."""
    place = tmp_path / "used"
    put(place, authority.issue(HOST))
    one = mail(authority.roots, chain_files(place))
    old = (place / "fullchain.pem").read_bytes()
    assert one.serves(old)  # and so there are processes that have it
    reloads = one.reloads()
    right = authority.issue(HOST)
    chain, key = broken(right, authority.issue(HOST))
    (place / "privkey.pem").write_bytes(key)
    (place / "fullchain.pem").write_bytes(chain)
    located = f"{place / file}:{line_of(chain, number)}" if number else str(place / file)
    alarm = one.agent.report_with(located, PATIENCE)
    assert "fixed" not in alarm
    assert one.reloads() == reloads
    assert one.serves(old)
    put(place, right)
    one.goes_live(right.certificate)


def test_a_wrong_renewal_holds_back_every_reload(authority, mail, tmp_path):
    """What the enforcer would correct waits too: its reload would make the wrong one live."""
    place = tmp_path / "used"
    put(place, authority.issue(HOST))
    one = mail(authority.roots, chain_files(place))
    old, reloads = (place / "fullchain.pem").read_bytes(), one.reloads()
    assert one.serves(old)
    (place / "fullchain.pem").write_bytes(b"")
    one.agent.report_with(str(place / "fullchain.pem"), PATIENCE)
    one.postfix.set_parameters({"smtpd_tls_protocols": "TLSv1"})
    assert "smtpd_tls_protocols" in one.agent.report_with("held", PATIENCE)
    assert one.reloads() == reloads
    assert one.serves(old)
    right = authority.issue(HOST)
    put(place, right)
    one.goes_live(right.certificate)
    until(lambda: "smtpd_tls_protocols = TLSv1\n" not in one.postfix.main_cf.read_text(), PATIENCE)


def test_a_wrong_renewal_is_not_joined(authority, mail, tmp_path):
    """The joined file stays what it was, so it is served for ever, by new processes too."""
    lineage = Lineage(tmp_path, HOST, authority)
    lineage.renew()
    old = lineage.fullchain.read_bytes()
    one = mail(authority.roots, {}, lineages=lineage.live.parent)
    joined = Path(one.postfix.config_directory) / "postkeel-chain.pem"
    before = joined.read_bytes()
    issued = lineage.issued()
    lineage.write(replace(issued, certificate=issued.certificate[:400], chain=b""))
    one.agent.report_with("certificate-joined", PATIENCE)
    told = one.agent.history()[0]["judged"]
    assert any(f"{lineage.fullchain}:1: " in finding["why"] for finding in told)
    assert joined.read_bytes() == before
    one.postfix.stop()
    one.postfix.start()
    assert one.serves(old)
    lineage.write(issued)
    one.goes_live(issued.certificate)
