"""Whom a sender trusts, and what it says of those that it does not."""

import shutil
import socket
import ssl
import struct
import threading
import time

import pytest

from collector_certificates import COLLECTOR, Authority
from fake_collector import FakeCollector, deafness, octet_counted, relp, silence
from postkeel_plugins.central import sender, tls
from postkeel_plugins.central.collectors import collector_of
from postkeel_plugins.central.opening import Manner, opened
from postkeel_plugins.central.waker import EndedError, Waker
from sending import Sending, wait_for


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other"), "Somebody else")


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(sender, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(sender, "LONGEST_WAIT", 0.2)


def server(pair, *, clients=None, newest=None):
    """clients: the authority whose certificates senders must show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.file)
    if newest is not None:
        context.maximum_version = newest
    return context


def url(collector, scheme="tls", name=f"?name={COLLECTOR}"):
    return f"{scheme}://{collector.address}:{collector.port}{name}"


@pytest.mark.parametrize(("scheme", "serve"), [("tls", octet_counted), ("relp+tls", relp())])
def test_a_collector_that_is_trusted(tmp_path, authority, scheme, serve):
    context = server(authority.issue())
    with (
        FakeCollector(serve, context=context) as one,
        Sending(tmp_path, url(one, scheme), ca=str(authority.file)) as sending,
    ):
        sending.deliver(300)
        wait_for(lambda: one.numbers() == list(range(1, 301)))
        wait_for(lambda: scheme == "tls" or sending.waiting() == 0)
        assert sending.said().startswith("300 reports wait" if scheme == "tls" else "")


def test_an_address_in_the_certificate_is_a_name(tmp_path, authority):
    context = server(authority.issue("numbered", addresses=("127.0.0.1",)))
    with (
        FakeCollector(octet_counted, context=context) as one,
        Sending(tmp_path, url(one, name=""), ca=str(authority.file)) as sending,
    ):
        sending.deliver()
        wait_for(lambda: one.numbers() == [1])


def refused(tmp_path, collector, authority, *words):
    with Sending(tmp_path, url(collector), ca=str(authority.file)) as sending:
        sending.deliver()
        sending.says("1 report waits", *words)
        assert collector.messages == []


def test_an_expired_certificate(tmp_path, authority):
    pair = authority.issue(days=-1, file="expired")
    with FakeCollector(octet_counted, context=server(pair)) as one:
        refused(tmp_path, one, authority, "its certificate is refused: certificate has expired")


def test_a_certificate_for_another_name(tmp_path, authority):
    pair = authority.issue("log2.example.org")
    with FakeCollector(octet_counted, context=server(pair)) as one:
        words = f"Hostname mismatch, certificate is not valid for '{COLLECTOR}'"
        refused(tmp_path, one, authority, words)


def test_a_certificate_of_an_unknown_authority(tmp_path, authority, other_authority):
    with FakeCollector(octet_counted, context=server(other_authority.issue())) as one:
        refused(tmp_path, one, authority, "unable to get local issuer certificate")


def test_nobody_of_the_system_signed_it(tmp_path, authority):
    with (
        FakeCollector(octet_counted, context=server(authority.issue())) as one,
        Sending(tmp_path, url(one)) as sending,
    ):
        sending.deliver()
        sending.says("its certificate is refused: ")
        assert one.messages == []


def test_a_server_without_tls(tmp_path, authority):
    def greets(_, connection):
        connection.sendall(b"220 mx1.example.org ESMTP Postfix\r\n")
        silence(_, connection)

    with FakeCollector(greets) as one:
        refused(tmp_path, one, authority, "the TLS handshake failed: ")


def test_a_server_of_old_tls_only(tmp_path, authority):
    context = server(authority.issue())
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with FakeCollector(octet_counted, context=context) as one:
        refused(tmp_path, one, authority, "protocol version")


def test_a_handshake_that_hangs(tmp_path, authority, monkeypatch):
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.3)
    with FakeCollector(deafness) as one:
        refused(tmp_path, one, authority, "no TLS handshake within 0.3 s")


def test_a_server_that_ends_the_handshake(tmp_path, authority):
    def ends(_, connection):
        connection.recv(1)

    with FakeCollector(ends) as one:
        refused(tmp_path, one, authority, f"{url(one)}: ")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_refused_client_certificate_is_seen_before_anything_is_sent(
    tmp_path, authority, other_authority, newest
):
    """TLS 1.3 lets the client believe for a while that all is well."""
    context = server(authority.issue(), clients=authority, newest=newest)
    foreign = other_authority.issue("mx1.example.org")
    credentials = {"certificate": str(foreign.certificate), "key": str(foreign.key)}
    with (
        FakeCollector(octet_counted, context=context) as one,
        Sending(tmp_path, url(one), ca=str(authority.file), **credentials) as sending,
    ):
        sending.deliver(5)
        sending.says("5 reports wait", "it refused the TLS connection", "unknown ca")
        assert one.messages == []


def test_a_collector_that_wants_a_certificate_and_gets_none(tmp_path, authority):
    context = server(authority.issue(), clients=authority)
    with FakeCollector(octet_counted, context=context) as one:
        refused(tmp_path, one, authority, "it refused the TLS connection", "certificate required")


def test_a_server_that_leaves_after_the_handshake(tmp_path, authority):
    with FakeCollector(lambda *_: None, context=server(authority.issue())) as one:
        refused(tmp_path, one, authority, "it closed the connection after the handshake")


def test_a_server_that_speaks_first(tmp_path, authority):
    def greets(_, connection):
        connection.sendall(b"* OK IMAP4rev1\r\n")
        silence(_, connection)

    with FakeCollector(greets, context=server(authority.issue())) as one:
        refused(tmp_path, one, authority, "it answers before it is asked")


def test_a_certificate_is_read_anew_at_each_connection(tmp_path, authority, other_authority):
    """Of one's own as of the collector: both are renewed while the agent runs."""
    mine = {one: str(tmp_path / one) for one in ("certificate", "key")}

    def install(pair):
        for one, path in mine.items():
            shutil.copy(getattr(pair, one), path)

    install(other_authority.issue("mx1.example.org", file="foreign"))
    context = server(authority.issue(), clients=authority)
    with (
        FakeCollector(octet_counted, context=context) as one,
        Sending(tmp_path, url(one), ca=str(authority.file), **mine) as sending,
    ):
        sending.deliver()
        sending.says("unknown ca")
        install(authority.issue("mx1.example.org", file="mine"))
        wait_for(lambda: one.numbers() == [1])


def test_a_collector_that_is_replaced(tmp_path, authority):
    """Another key and certificate of the same authority and name: nothing to do for anybody."""
    with (
        FakeCollector(relp(), context=server(authority.issue())) as one,
        Sending(tmp_path, url(one, "relp+tls"), ca=str(authority.file)) as sending,
    ):
        sending.deliver(3)
        wait_for(lambda: sending.waiting() == 0)
        one.stop()
        sending.deliver(3)
        one.context = server(Authority.issue(authority, file="replaced"))
        one.start()
        wait_for(lambda: sorted(set(one.numbers())) == [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ca": "/nonexistent/ca.pem"}, "ca /nonexistent/ca.pem cannot be used: No such file"),
        ({"ca": "EMPTY"}, "cannot be used: no certificate or crl found"),
        ({"certificate": "/nonexistent/c.pem"}, "certificate /nonexistent/c.pem and its key"),
        ({"key": "/nonexistent/c.key"}, "certificate none and its key cannot be used"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, authority, more, words):
    (tmp_path / "empty.pem").write_text("")
    more = {name: path.replace("EMPTY", str(tmp_path / "empty.pem")) for name, path in more.items()}
    with (
        FakeCollector(octet_counted, context=server(authority.issue())) as one,
        Sending(tmp_path, url(one), **{"ca": str(authority.file), **more}) as sending,
    ):
        sending.deliver()
        sending.says(words)


def test_a_connection_that_breaks_in_the_middle(tmp_path, authority):
    """Cut beneath TLS, without its word of farewell."""
    with (
        FakeCollector(octet_counted, context=server(authority.issue())) as one,
        Sending(tmp_path, url(one), ca=str(authority.file)) as sending,
    ):
        sending.deliver(3)
        wait_for(lambda: one.numbers() == [1, 2, 3])
        linger = struct.pack("ii", 1, 0)
        for each in list(one.connections):
            if each.fileno() >= 0:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                each.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: one.numbers() == [1, 2, 3, 1, 2, 3])


def test_garbage_within_tls(tmp_path, authority):
    """An octet of a record is turned around on its way: the connection is over, nothing is lost."""
    context = server(authority.issue())

    def serve(_, connection):
        accepted = context.wrap_socket(connection, server_side=True)
        accepted.recv(1)
        raw = socket.socket(fileno=accepted.detach())
        with raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            while raw.recv(65536):
                pass

    with (
        FakeCollector(serve) as one,
        Sending(tmp_path, url(one), ca=str(authority.file)) as sending,
    ):
        sending.deliver()
        sending.says("the connection broke: ")


@pytest.mark.parametrize("seconds", [0, 0.1])
def test_ending_while_a_handshake_hangs(authority, seconds):
    with FakeCollector(deafness) as one:
        waker = Waker()
        collector = collector_of(url(one))
        began = time.monotonic()
        if seconds:
            threading.Timer(seconds, waker.end).start()
        else:
            waker.end()
        with pytest.raises(EndedError):
            opened(collector, Manner(authority=str(authority.file)), waker)
        assert time.monotonic() - began < 5
