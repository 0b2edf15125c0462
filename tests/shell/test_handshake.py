"""Handshakes with peers that are no Postfix: each ends in time, with a sentence."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest

import certificates
from named_server import named_server
from postkeel.postfix.handshake import Endpoint, Handshake
from postkeel.shell.conversation import client_context
from postkeel.shell.handshake import handshake, is_possible, made
from postkeel.shell.proving import make_all

DEADLINE = 0.6
OFFER = b"220 x ESMTP\r\n", b"250-x\r\n250 STARTTLS\r\n"


def drip(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"2")
        time.sleep(0.02)


def flood(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"220-more\r\n" * 1000)


def silent(peer: socket.socket) -> None:
    peer.recv(1)
    time.sleep(DEADLINE * 8)


def says(*replies: bytes):
    """A peer that sends the first reply, then one after each thing that it hears."""

    def talk(peer: socket.socket) -> None:
        for reply in replies:
            peer.sendall(reply)
            if not peer.recv(4096):
                return

    return talk


def dripping_tls(peer: socket.socket) -> None:
    says(*OFFER, b"220 go\r\n")(peer)
    peer.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, of which little ever comes
    while True:
        peer.sendall(b"\x02")
        time.sleep(0.02)


PEERS = [
    (silent, "no answer in time"),
    (drip, "no answer in time"),
    (flood, "the peer says more than 16384 bytes before TLS"),
    (says(b"2" * 20000), "the peer says more than 16384 bytes before TLS"),
    (says(), "the peer closed the connection"),
    (says(b"\r\n"), 'the answer to the greeting is ""'),
    (says(b"554 go away\r\n"), 'the answer to the greeting is "554 go away"'),
    (says(b"554 \x1b[2J\xff\r\n"), r'the answer to the greeting is "554 \x1b[2J\xff"'),
    (says(b"220 x\r\n", b"250 x\r\n"), "STARTTLS is not offered"),
    (says(b"220 x\r\n", b"250-XSTARTTLS\r\n250 x\r\n"), "STARTTLS is not offered"),
    (says(*OFFER, b"454 no key\r\n"), 'the answer to STARTTLS is "454 no key"'),
    (
        says(*OFFER, b"220 go\r\n250 injected\r\n"),
        "the peer goes on in clear text after STARTTLS",
    ),
    (dripping_tls, "no answer in time"),
    (says(*OFFER, b"220 go\r\n", b"250 this is no TLS\r\n"), "TLS handshake: wrong version number"),
    (says(*OFFER, b"220 go\r\n"), "TLS handshake: "),
]


@pytest.fixture
def listen():
    """Starts a peer on loopback; it serves one connection in a thread."""
    opened: list[socket.socket] = []

    def start(talk) -> Endpoint:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)

        def serve() -> None:
            try:
                peer, _ = listener.accept()
                opened.append(peer)
                with peer:
                    talk(peer)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return endpoint(listener.getsockname()[1])

    yield start
    for one in opened:
        one.close()


def endpoint(port: int, *, direct: bool = False) -> Endpoint:
    return Endpoint(
        service="smtp/inet", host="127.0.0.1", port=str(port), direct=direct, floor="TLSv1.2"
    )


@pytest.mark.parametrize(("talk", "problem"), PEERS, ids=[problem for _, problem in PEERS])
@pytest.mark.parametrize("below", ["", "TLSv1.2"])
def test_a_hostile_peer_ends_in_a_sentence_in_time(listen, talk, problem, below):
    began = time.monotonic()
    shown = handshake(listen(talk), deadline=DEADLINE, below=below)
    assert time.monotonic() - began < DEADLINE + 0.3
    assert shown.problem.startswith(problem)
    assert not shown.ok
    assert not shown.refused
    assert not shown.protocol


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shown = handshake(endpoint(port), deadline=DEADLINE)
    assert shown.problem == "connection: Connection refused"


def test_no_time_at_all():
    assert handshake(endpoint(9), deadline=0).problem == "no answer in time"


def test_nothing_older_to_offer():
    shown = handshake(endpoint(9), deadline=DEADLINE, below="TLSv1")
    assert shown.problem == "nothing older than TLSv1 can be offered from here"


def test_a_peer_that_never_says_goodbye(listen, tmp_path):
    """TLS came about: that is the proof, whatever the peer does afterwards."""
    made = certificates.make_certificate("ecdsa", host="x.test", address="127.0.0.1")
    (tmp_path / "pem").write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")

    def talk(peer: socket.socket) -> None:
        says(*OFFER)(peer)
        peer.sendall(b"220 go\r\n")
        with context.wrap_socket(peer, server_side=True) as secured:
            while secured.recv(100):
                pass

    shown = handshake(listen(talk), deadline=DEADLINE)
    assert shown.ok
    assert shown.protocol == "TLSv1.3"
    assert len(shown.certificate_sha256) == 64


def test_contexts_are_built_once():
    assert client_context("TLSv1.2") is client_context("TLSv1.2")


@pytest.fixture
def server(tmp_path):
    with named_server(tmp_path) as one:
        yield one


def at(server, **asked) -> Handshake:
    return Handshake(endpoint=endpoint(int(server.port), direct=True), **asked)


def test_a_name_is_asked_for(server):
    default, named = server.shows(""), server.shows("mx.test")
    blanks = [at(server, expected=(default,)), at(server, name="mx.test", expected=(named,))]
    shown = [made(one, 5) for one in blanks]
    assert [one.certificate_sha256 for one in shown] == [default, named]
    assert all(one.ok for one in shown)
    assert server.asked == ["", "mx.test"]


@pytest.mark.parametrize(("kind", "algorithm"), [("rsa", "RSA"), ("ecdsa", "EC")])
def test_an_algorithm_is_asked_for(server, kind, algorithm):
    digest = server.shows("", kind)
    shown = made(at(server, algorithm=algorithm, expected=(digest,)), 5)
    assert (shown.algorithm, shown.protocol, shown.ok) == (algorithm, "TLSv1.2", True)
    other = {"RSA": "EC", "EC": "RSA"}[algorithm]
    shown = made(at(server, algorithm=other, expected=(digest,)), 5)
    assert (shown.refused, shown.ok) == (True, False)
    assert shown.problem.endswith("handshake failure")


def test_with_tls_1_3_alone_the_algorithm_cannot_be_told(server):
    digest = server.shows("", "ecdsa", ssl.TLSVersion.TLSv1_3)
    shown = made(at(server, algorithm="RSA", expected=("0" * 64,)), 5)
    assert (shown.protocol, shown.certificate_sha256, shown.ok) == ("TLSv1.3", digest, True)
    assert (shown.algorithm, shown.expected, shown.problem) == ("", (), "")


def test_what_nothing_can_be_offered_for_is_left_out(server):
    blanks = {1: at(server, below="TLSv1"), 2: at(server)}
    assert not is_possible(blanks[1])
    assert [*make_all(blanks, 5)] == [2]


@pytest.mark.parametrize(("talk", "problem"), PEERS, ids=[problem for _, problem in PEERS])
def test_a_hostile_peer_is_asked_for_no_names(listen, talk, problem):
    """It serves one connection: a second one would end in another sentence."""
    place = listen(talk)
    blanks = {
        number: Handshake(endpoint=place, name=name, expected=("0" * 64,))
        for number, name in enumerate(("", "a.test", "b.test"))
    }
    began = time.monotonic()
    shown = make_all(blanks, DEADLINE)
    assert time.monotonic() - began < DEADLINE + 1
    assert [*shown] == [0]
    assert shown[0].problem.startswith(problem)
    assert not shown[0].ok


def test_a_hostile_peer_delays_no_other(listen, server):
    digest = server.shows("")
    hostile = {number: Handshake(endpoint=listen(silent)) for number in range(12)}
    names = {12 + number: at(server, name=f"n{number}.test") for number in range(30)}
    began = time.monotonic()
    shown = make_all({**hostile, **names}, 3)
    assert time.monotonic() - began < 4.5
    assert {one.problem for place, one in shown.items() if place < 12} == {"no answer in time"}
    assert {shown[place].certificate_sha256 for place in names} == {digest}
