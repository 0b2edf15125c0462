"""Whom rsyslog and syslog-ng let in, as the shipped snippets set them up."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl

import pytest

import collectors
from bare_sender import connected, framed, relp, send
from collector_certificates import SENDER, Authority
from guarded import until

pytestmark = pytest.mark.live
WAYS = [("rsyslog", "relp+tls"), ("rsyslog", "tls"), ("syslog-ng", "tls")]
STRANGERS = ("another name", "another authority", "expired", "none")


@pytest.fixture
def start(tmp_path):
    """A function that starts a server of this name with one transport."""
    if reason := collectors.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with contextlib.ExitStack() as stack:

        def start(kind, transport, **settings):
            make = collectors.rsyslog if kind == "rsyslog" else collectors.syslog_ng
            place = tmp_path / "collector"
            return stack.enter_context(make(place, transports=(transport,), **settings))

        yield start


def message(text):
    head = "<21>1 2026-11-22T13:40:00Z mx1.example.org postkeel 42 started"
    return f'{head} [postkeel@32473 v="1"] {text}'.encode()


def pair_of(server, whose):
    match whose:
        case "another name":
            return server.authority.issue("mx1.example.net")
        case "another authority":
            return Authority(server.directory / "foreign").issue(SENDER)
        case "expired":
            return server.authority.issue(SENDER, days=-1, file="expired")
        case _:
            return None


def attempt(server, transport, pair):
    """Send a message with this certificate, or none; a refusal may not be heard of."""
    with contextlib.suppress(OSError), connected(server, transport, pair=pair) as stream:
        if transport == "tls":
            stream.sendall(framed(message("from a stranger")))
            stream.settimeout(5)
            stream.recv(1)  # until it hangs up
        else:
            relp(stream, [message("from a stranger")])


@pytest.mark.parametrize("whose", STRANGERS)
@pytest.mark.parametrize(("kind", "transport"), WAYS)
def test_strangers_are_refused(start, kind, transport, whose):
    server = start(kind, transport)
    pair = pair_of(server, whose)
    for _ in range(5):
        attempt(server, transport, pair)
    send(server, transport, [message("from a friend")])
    until(lambda: server.size() > 0, 30)
    assert {line["text"] for line in server.lines()} == {"from a friend"}


@pytest.mark.parametrize("whose", [None, *STRANGERS])
@pytest.mark.parametrize(("kind", "transport"), WAYS)
def test_senders_without_certificates_can_be_let_in(start, kind, transport, whose):
    server = start(kind, transport, senders="" if kind == "rsyslog" else False)
    pair = pair_of(server, whose) if whose else server.sender
    with connected(server, transport, pair=pair) as stream:
        if transport == "tls":
            stream.sendall(framed(message("welcome")))
        else:
            relp(stream, [message("welcome")])
    until(server.lines, 30)
    assert [line["text"] for line in server.lines()] == ["welcome"]


@pytest.mark.parametrize(("kind", "transport"), WAYS)
def test_the_collector_shows_who_it_is(start, kind, transport):
    server = start(kind, transport)
    foreign = Authority(server.directory / "foreign")
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        connected(server, transport, pair=None, ca=foreign.file),
    ):
        pass


@pytest.mark.parametrize("kind", ["rsyslog", "syslog-ng"])
def test_nobody_is_let_in_without_tls(start, kind):
    server = start(kind, "tls")
    stranger = socket.create_connection((server.address, server.ports["tls"]), 5)
    with stranger, contextlib.suppress(OSError):
        stranger.sendall(framed(message("in clear text")))
        stranger.settimeout(5)
        stranger.recv(1)
    send(server, "tls", [message("from a friend")])
    until(server.lines, 30)
    assert [line["text"] for line in server.lines()] == ["from a friend"]
