"""Handing a probe in: how far it came, what it says of a refusal, and what it never does."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import time

import pytest

import certificates
from postkeel.core.errors import PostkeelError
from postkeel.core.mail import Target
from postkeel.shell import probe_session
from postkeel.shell.probe_credentials import login_of, mail_address
from postkeel.shell.probe_session import Login, hand_in, letter
from postkeel.shell.probe_token import new_token
from scripted_server import GO, GREETING, OFFER, OK, TLS, TO_TLS, ScriptedServer

ADDRESS = "probe@mx.example.test"
TOKEN = new_token(b"x" * 32, 1_800_000_000.0)
LOGIN = Login("probe", "open sesame")
TAKE = (OK, OK, b"354 go\r\n", b"250 2.0.0 Ok: queued as 5E9D420C\r\n", b"221 bye\r\n")


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    made = certificates.make_certificate("ecdsa", host="mx.test", address="127.0.0.1")
    file = tmp_path_factory.mktemp("server") / "server.pem"
    file.write_text(made.key + made.certificate)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(file)
    return found


@pytest.fixture
def serve(context):
    """A function that starts a server with this script, and hands a probe in there."""
    with contextlib.ExitStack() as stack:

        def start(*script: bytes, seconds: float = 5.0, login: Login | None = None, **how):
            server = ScriptedServer(script, context, "127.0.0.1")
            stack.callback(server.close)
            target = Target(
                service="smtp/inet",
                host="127.0.0.1",
                port=server.port,
                login=login is not None,
                **how,
            )
            return server, hand_in(target, ADDRESS, TOKEN, seconds, login)

        yield start


def test_a_message_that_is_taken(serve):
    server, probed = serve(*TO_TLS, OFFER, *TAKE)
    assert (probed.stage, probed.problem, probed.code) == ("delivery", "", 0)
    assert (probed.protocol, probed.cipher) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert probed.queue_id == "5E9D420C"
    assert server.heard[:3] == [b"EHLO [127.0.0.1]\r\n", b"STARTTLS\r\n", b"EHLO [127.0.0.1]\r\n"]
    assert server.heard[3:6] == [
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<probe@mx.example.test>\r\n",
        b"DATA\r\n",
    ]
    assert server.heard[6] == letter(ADDRESS, TOKEN) + b".\r\n"
    assert server.heard[7] == b"QUIT\r\n"


def test_tls_from_the_first_octet(serve):
    """Not TLS and then a reply, but the greeting in TLS."""
    _, probed = serve(TLS, direct=True, seconds=0.5)
    assert (probed.stage, probed.problem, probed.protocol) == (
        "greeting",
        "no answer in time",
        "TLSv1.3",
    )


def test_the_letter_is_plain_ascii_that_nobody_answers():
    text = letter(ADDRESS, TOKEN).decode("ascii")
    head, _, body = text.partition("\r\n\r\n")
    assert "Auto-Submitted: auto-generated" in head.split("\r\n")
    assert f"X-Postkeel-Probe: {TOKEN.text}" in head.split("\r\n")
    assert all(len(line) < 998 and not line.startswith(".") for line in text.split("\r\n"))
    assert body.count("\r\n") == 1
    assert "\n" not in text.replace("\r\n", "")


CLOSING = [
    ((), "greeting"),
    ((GREETING,), "EHLO"),
    ((GREETING, OFFER), "STARTTLS"),
    ((GREETING, OFFER, GO), "TLS"),
    (TO_TLS, "EHLO"),
    ((*TO_TLS, OFFER), "MAIL"),
    ((*TO_TLS, OFFER, *TAKE[:1]), "RCPT"),
    ((*TO_TLS, OFFER, *TAKE[:2]), "DATA"),
    ((*TO_TLS, OFFER, *TAKE[:3]), "DATA"),
    ((*TO_TLS, OFFER, *TAKE[:4]), "delivery"),
]


@pytest.mark.parametrize(("script", "stage"), CLOSING)
def test_a_server_that_closes_is_told_with_the_stage(serve, script, stage):
    _, probed = serve(*script)
    assert probed.stage == stage
    assert bool(probed.problem) == (stage != "delivery")
    assert probed.code == 0


REFUSING = [
    ((b"554 5.7.1 go\r\n",), "greeting", 554),
    ((b"garbage\r\n",), "greeting", 0),
    ((GREETING, b"502 what\r\n"), "EHLO", 502),
    ((GREETING, b"250-x\r\n250 SIZE\r\n"), "STARTTLS", 0),
    ((GREETING, OFFER, b"454 no key\r\n"), "STARTTLS", 454),
    ((GREETING, OFFER, GO + b"250 injected\r\n"), "STARTTLS", 0),
    ((*TO_TLS, OFFER, b"451 4.7.1 greylisted\r\n"), "MAIL", 451),
    ((*TO_TLS, OFFER, OK, b"450 4.2.0 greylisted\r\n"), "RCPT", 450),
    ((*TO_TLS, OFFER, OK, OK, b"554 no\r\n"), "DATA", 554),
    ((*TO_TLS, OFFER, *TAKE[:3], b"552 5.3.4 too much\r\n"), "DATA", 552),
]


@pytest.mark.parametrize(("script", "stage", "code"), REFUSING)
def test_a_refusal_is_told_with_stage_and_code(serve, script, stage, code):
    server, probed = serve(*script)
    assert (probed.stage, probed.code) == (stage, code)
    assert probed.problem
    assert not any(b"MAIL" in one for one in server.heard if stage in ("EHLO", "STARTTLS", "TLS"))


def test_an_answer_without_a_queue_id(serve):
    _, probed = serve(*TO_TLS, OFFER, *TAKE[:3], OK)
    assert (probed.stage, probed.queue_id) == ("delivery", "")


@pytest.mark.parametrize(
    ("offer", "script", "heard"),
    [
        (b"AUTH PLAIN", (), [b"AUTH PLAIN " + base64.b64encode(b"\0probe\0open sesame")]),
        (
            b"AUTH LOGIN",
            (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"),
            [b"AUTH LOGIN", base64.b64encode(b"probe"), base64.b64encode(b"open sesame")],
        ),
    ],
)
def test_a_login_comes_after_tls(serve, offer, script, heard):
    in_tls = b"250-x\r\n250 %b\r\n" % offer
    server, probed = serve(*TO_TLS, in_tls, *script, b"235 2.7.0 good\r\n", *TAKE, login=LOGIN)
    assert probed.stage == "delivery"
    assert server.heard[3 : 3 + len(heard)] == [one + b"\r\n" for one in heard]


def test_no_login_where_none_is_offered_in_tls(serve):
    server, probed = serve(*TO_TLS, b"250-x\r\n250 AUTH CRAM-MD5\r\n", login=LOGIN)
    assert (probed.stage, probed.problem) == (
        "AUTH",
        "neither AUTH PLAIN nor AUTH LOGIN is offered",
    )
    assert not any(b"AUTH" in one for one in server.heard)


@pytest.mark.parametrize(
    "echo",
    [b"open sesame", base64.b64encode(b"open sesame"), base64.b64encode(b"\0probe\0open sesame")],
)
@pytest.mark.parametrize("script", [(), (b"235 good\r\n", OK)])
def test_a_server_that_gives_the_password_back_is_not_quoted(serve, echo, script):
    _, probed = serve(*TO_TLS, OFFER, *script, b"535 %b is wrong\r\n" % echo, login=LOGIN)
    assert probed.code == 535
    assert probed.problem == "the answer is not shown, for the password is in it"


def test_nothing_is_sent_to_another_host(serve, monkeypatch):
    """A port of this host that some rule of the kernel leads elsewhere looks like this."""
    monkeypatch.setattr(socket.socket, "getpeername", lambda _: ("192.0.2.1", 25), raising=False)
    server, probed = serve(GREETING, OFFER)
    assert probed.stage == "connection"
    assert probed.problem == "192.0.2.1 is not an address of this host: no mail is sent there"
    assert server.heard == []


def test_what_cannot_be_connected_to():
    port = "1"
    made = [
        hand_in(Target(service="s", host=host, port=port), ADDRESS, TOKEN, 5)
        for host in ("127.0.0.1", "x" * 80)
    ]
    assert [one.stage for one in made] == ["connection"] * 2
    assert made[0].problem == "Connection refused"
    assert made[1].problem
    late = hand_in(Target(service="s", host="127.0.0.1", port=port), ADDRESS, TOKEN, 0)
    assert late.problem == "no answer in time"


def test_a_host_without_ipv6_is_not_asked_there(monkeypatch):
    target = Target(service="s", host="::1", port="1")
    monkeypatch.setattr(probe_session, "_has_loopback_six", lambda: False)
    assert hand_in(target, ADDRESS, TOKEN, 5) is None
    monkeypatch.setattr(probe_session, "_has_loopback_six", lambda: True)
    assert hand_in(target, ADDRESS, TOKEN, 5).stage == "connection"


def test_a_server_that_drips_ends_in_time(context):
    def drip(server: socket.socket) -> None:
        peer, _ = server.accept()
        with contextlib.suppress(OSError), peer:
            while True:
                peer.sendall(b"2")
                time.sleep(0.05)

    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        target = Target(service="s", host="127.0.0.1", port=str(server.getsockname()[1]))
        began = time.monotonic()
        probed = hand_in(target, ADDRESS, TOKEN, 0.5)
        assert time.monotonic() - began < 5
    assert (probed.stage, probed.problem) == ("greeting", "no answer in time")


GOOD = "probe:open sesame: with a colon\n"
BAD = ["", "probe\n", ":password\n", "probe:\n", "a:b\nc:d\n", "a:\x00b", f"a:{'b' * 2000}"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "credentials"
    path.touch(mode=0o600)
    return path


def test_credentials(file):
    file.write_text(GOOD)
    assert login_of(str(file)) == ("probe", "open sesame: with a colon")
    file.chmod(0o640)
    assert login_of(str(file)).user == "probe"


@pytest.mark.parametrize("content", BAD)
def test_what_are_no_credentials(file, content):
    file.write_text(content)
    with pytest.raises(PostkeelError, match="holds no line USER:PASSWORD"):
        login_of(str(file))


def test_credentials_that_cannot_be_used_are_told_without_them(file, tmp_path):
    file.write_bytes(b"probe:\xff")
    with pytest.raises(PostkeelError, match="holds no line"):
        login_of(str(file))
    file.write_text(GOOD)
    file.chmod(0o604)
    with pytest.raises(PostkeelError, match="others may read or write it") as told:
        login_of(str(file))
    assert "sesame" not in str(told.value)
    os.mkfifo(tmp_path / "pipe")
    for name, says in (
        (tmp_path / "pipe", "no regular file"),
        (tmp_path, "no regular file"),
        (tmp_path / "none", "No such file"),
        ("", "there are no credentials"),
    ):
        with pytest.raises(PostkeelError, match=says):
            login_of(str(name))


@pytest.mark.parametrize(
    "text",
    ["", "x", "a@b\r\nDATA", "a b@c", "<a@b>", "a@b>", "ä@b", "a@b@c", f"{'a' * 65}@b", "a@", "@b"],
)
def test_what_is_no_address(text):
    with pytest.raises(PostkeelError, match="is no address for probes"):
        mail_address(text)
    assert mail_address("_postkeel@mx.example.org") == "_postkeel@mx.example.org"
