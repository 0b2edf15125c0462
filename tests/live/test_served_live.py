"""What a real Postfix serves, held against its files."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from certificates import make_certificate
from postkeel.contract import Need
from postkeel.core.configuration import Configuration
from postkeel.postfix.handshake import endpoints
from postkeel.shell import served as under_test
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.certificate_facts import KeptCertificates
from postkeel.shell.documents import Profiles
from postkeel.shell.own_facts import OwnFacts
from postkeel.shell.postfix_facts import gather_instance
from postkeel.shell.proof import prove_until
from postkeel.shell.served import KeptServed

pytestmark = pytest.mark.live

PORTS = ("25", "587", "465")


class Seen:
    """An instance with its certificates, gathered anew each time, and what is served of them."""

    def __init__(self, postfix) -> None:
        self.postfix = postfix
        self.kept = KeptServed(None)
        self._certificates = KeptCertificates()

    @property
    def instance(self):
        return gather_instance(self.postfix.config_directory, defaults=DefaultsCache())

    @property
    def certificates(self):
        return self._certificates.of(self.instance)

    def served(self):
        return self.kept.of(self.instance, self.certificates)

    def shown(self) -> list[tuple[str, str, str, bool]]:
        """Port, name, algorithm and whether all is well, of each handshake."""
        found = self.served()
        assert found.problem == ""
        return [(one.endpoint.port, one.name, one.algorithm, one.ok) for one in found.handshakes]

    def expects(self) -> bool:
        """Whether each handshake has something to be held against."""
        return all(one.expected for one in self.served().handshakes)


def renew(file: Path, kind: str = "rsa", host: str = "mail.example.test", key: Path | None = None):
    """A new certificate in place of a file's, for the same key; returns its PEM."""
    made = make_certificate(kind, host=host, address="127.0.0.1")
    if key:
        key.write_text(made.key)
        file.write_text(made.certificate)
    else:
        file.touch(mode=0o600)
        file.write_text(made.key + made.certificate)
    return made


def test_rsa_and_ecdsa_side_by_side_are_both_seen(start_postfix):
    seen = Seen(start_postfix(certificates=("rsa", "ecdsa")))
    assert seen.shown() == [
        (port, "", algorithm, True) for port in PORTS for algorithm in ("", "RSA", "EC")
    ]
    assert seen.expects()
    digests = {one.algorithm: one.certificate_sha256 for one in seen.served().handshakes}
    assert digests["RSA"] != digests["EC"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("smtpd_tls_protocols", ">=TLSv1.3"), ("smtpd_tls_exclude_ciphers", "aRSA, aECDSA")],
)
def test_where_no_algorithm_can_be_asked_for(start_postfix, parameter, value):
    settings = {parameter: value}
    seen = Seen(start_postfix(certificates=("rsa", "ecdsa"), parameters=settings))
    assert [one for one in seen.shown() if one[0] == "25"] == [("25", "", "", True)]


@pytest.mark.parametrize(("kind", "algorithm"), [("rsa", "RSA"), ("ecdsa", "EC")])
def test_a_renewal_is_not_served_until_the_reload(start_postfix, kind, algorithm):
    """Of two side by side each is looked at: a client of today is shown the ECDSA one alone."""
    postfix = start_postfix(certificates=("rsa", "ecdsa"))
    seen = Seen(postfix)
    before = seen.served()
    assert all(one.ok for one in before.handshakes)
    word = {"rsa": "", "ecdsa": "ec"}[kind]
    etc = Path(postfix.config_directory)
    renew(etc / f"smtpd_tls_{word}cert_file.pem", kind, key=etc / f"smtpd_tls_{word}key_file.pem")
    wrong = [one for one in seen.served().handshakes if not one.ok]
    assert {one.endpoint.port for one in wrong} == set(PORTS)
    assert {one.algorithm for one in wrong} <= {algorithm, ""}
    instance, certificates = seen.instance, seen.certificates
    postfix.reload()
    proof = prove_until(
        instance,
        lambda found: all(one.ok for one in found),
        seen.kept.due(instance, certificates),
    )
    assert all(one.ok for one in proof), [str(one) for one in proof if not one.ok]
    noted = seen.kept.note(instance, certificates, proof)
    assert len(noted.handshakes) == len(before.handshakes)
    assert all(one.ok for one in noted.handshakes)
    assert seen.served() == noted
    assert len(noted.since) == 2


def sni(postfix, kind: str, entries: dict[str, Path]) -> str:
    """A table of this kind with these entries; its name."""
    source = Path(postfix.config_directory, "sni")
    source.write_text("".join(f"{name} {file}\n" for name, file in entries.items()))
    if kind != "texthash":
        command = ["postmap", "-c", postfix.config_directory, "-F", f"{kind}:{source}"]
        subprocess.run(command, check=True)
    return f"{kind}:{source}"


@pytest.mark.parametrize("kind", ["hash", "texthash"])
def test_names_of_a_table(start_postfix, kind):
    postfix = start_postfix(start=False)
    etc = Path(postfix.config_directory)
    names = {"mx.example.org": etc / "mx.pem", ".example.net": etc / "all.pem"}
    for name, file in names.items():
        renew(file, "ecdsa", f"x{name}" if name.startswith(".") else name)
    postfix.set_parameters({"tls_server_sni_maps": sni(postfix, kind, names)})
    postfix.start()
    seen = Seen(postfix)
    asked = ("", "mx.example.org", "postkeel.example.net")
    shown = [(port, name, "", True) for port in PORTS for name in asked]
    assert sorted(seen.shown()) == sorted(shown)
    assert seen.expects()
    assert len(seen.served().since) == 3
    renew(names["mx.example.org"], "ecdsa", "mx.example.org")
    wrong = [one for one in seen.served().handshakes if not one.ok]
    # A texthash is read by each smtpd that starts, a hash holds the certificates itself.
    assert [(one.endpoint.port, one.name) for one in wrong] == [
        (port, "mx.example.org") for port in PORTS
    ]
    if kind == "hash":
        sni(postfix, kind, names)
    postfix.reload()
    instance, certificates = seen.instance, seen.certificates
    proof = prove_until(
        instance,
        lambda found: all(one.ok for one in found),
        seen.kept.due(instance, certificates),
    )
    assert all(one.ok for one in proof), [str(one) for one in proof if not one.ok]


def test_a_file_that_breaks_says_nothing_of_what_is_served(start_postfix):
    postfix = start_postfix(certificates=("ecdsa",))
    seen = Seen(postfix)
    good = seen.served()
    Path(postfix.config_directory, "smtpd_tls_eckey_file.pem").write_text("garbage\n")
    found = seen.served()
    assert [one.expected for one in found.handshakes] == [()] * 3
    assert [one.certificate_sha256 for one in found.handshakes] == [
        one.certificate_sha256 for one in good.handshakes
    ]


def test_a_service_without_tls_is_not_asked(start_postfix):
    seen = Seen(start_postfix(parameters={"smtpd_tls_security_level": "none"}))
    assert seen.shown() == [("587", "", "", True), ("465", "", "", True)]


def test_an_endpoint_on_ipv6(start_postfix):
    postfix = start_postfix(
        parameters={"inet_protocols": "all"}, master_cf="[::1]:10587 inet n - n - - smtpd\n"
    )
    assert ("10587", "", "", True) in Seen(postfix).shown()


def test_a_service_of_one_process(start_postfix):
    postfix = start_postfix(start=False, master_cf="10025 inet n - n - 1 smtpd\n")
    etc = Path(postfix.config_directory)
    names = {f"n{number}.test": etc / f"{number}.pem" for number in range(30)}
    for name, file in names.items():
        renew(file, "ecdsa", name)
    postfix.set_parameters({"tls_server_sni_maps": sni(postfix, "hash", names)})
    postfix.start()
    shown = Seen(postfix).shown()
    assert len(shown) == 4 * 31
    assert all(ok for *_, ok in shown)


def test_a_postfix_that_is_stopped(start_postfix):
    postfix = start_postfix()
    seen = Seen(postfix)
    assert seen.expects()
    postfix.stop()
    found = seen.served()
    assert (found.handshakes, found.problem) == ((), "Postfix is not running")


def garbage(peer: socket.socket) -> None:
    peer.sendall(bytes(range(256)) * 8 + b"\n")


def silence(peer: socket.socket) -> None:
    peer.settimeout(30)
    peer.recv(1)


@pytest.mark.parametrize(
    ("talk", "problem"),
    [(garbage, 'the answer to the greeting is "'), (silence, "no answer in time")],
)
def test_who_has_taken_the_port_is_no_postfix(start_postfix, monkeypatch, talk, problem):
    """master.cf names a port that somebody else was given first."""
    monkeypatch.setattr(under_test, "LOOK_SECONDS", 4.0)
    postfix = start_postfix()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((postfix.address, 0)))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    stack.callback(peer.close)
                    threading.Thread(target=talks, args=(peer,), daemon=True).start()

        def talks(peer: socket.socket) -> None:
            with contextlib.suppress(OSError):
                talk(peer)

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        with postfix.master_cf.open("a") as file:
            file.write(f"{port} inet n - n - - smtpd\n")
        seen = Seen(postfix)
        assert str(port) in {one.port for one in endpoints(seen.instance)}
        began = time.monotonic()
        found = seen.served()
        assert time.monotonic() - began < 12
        listener.shutdown(socket.SHUT_RDWR)
    shown = {one.endpoint.port: one for one in found.handshakes}
    assert shown[str(port)].problem.startswith(problem)
    assert not shown[str(port)].ok
    assert all(shown[one].ok for one in PORTS)


def test_the_fact_that_the_agent_answers(start_postfix, tmp_path):
    postfix = start_postfix()
    configuration = Configuration(state_directory=str(tmp_path / "state"))
    kept = KeptServed(configuration.state_directory)
    for served in (kept, None):
        own = OwnFacts(configuration, Profiles(None), DefaultsCache(), served=served)
        fact = own.keel_gather(Need(kind="served", subject=postfix.config_directory))
        assert [one.ok for one in fact.handshakes] == [True] * 3
        assert len(fact.since) == 1
        if served is kept:
            first = fact.since
        assert fact.since == first, "of a command too, which writes nothing"
    (tmp_path / "state/served.json").unlink()
    own.keel_gather(Need(kind="served", subject=postfix.config_directory))
    assert not (tmp_path / "state/served.json").exists()


def test_behind_postscreen(start_postfix):
    """A client that postscreen lets through meets smtpd, any other tlsproxy."""
    postfix = start_postfix(start=False)
    text = postfix.master_cf.read_text()
    postfix.master_cf.write_text(
        text.replace("smtp      inet  n       -       n       -       -       smtpd", "", 1)
        + "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n"
        "tlsproxy unix - - n - 0 tlsproxy\ndnsblog unix - - n - 0 dnsblog\n"
    )
    postfix.start()
    seen = Seen(postfix)
    assert ("25", "", "", True) in seen.shown()
    assert seen.expects()
