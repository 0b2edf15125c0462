"""Makes a real Postfix log every form of TLS line, and says what it did.

    with stage() as on:
        log, done = play(on, "inbound")

Each step is a function that does something on a `Stage` and returns its deeds. They
are known from what was asked of both sides (one protocol, one suite, one group), never
read off the log.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from far_side import clear_client, secure_client, shake_hands
from log_truth import Clear, Connection, Deed, Failure, Noticed, truth
from stage import CLIENTS, NAMELESS, PORTS, Stage

UNSENT: Final = Noticed("TLS required and not to be had")
"""Of mail that stays, because no TLS was offered, or none that was good enough."""
AES256 = "TLS_AES_256_GCM_SHA384"
TLS13 = ("-tls1_3", "-ciphersuites", AES256, "-groups", "X25519")
OLD = ("-cipher", "ALL:@SECLEVEL=0")
INJECTED = '"x]: Anonymous TLS connection established from q[1.2.3.4]"@lab.test'
EVIL_NAME = "x\nNov 22 10:00:00 h postfix/smtpd[1]: Anonymous TLS connection"


Step = Callable[[Stage], Iterable[Deed]]


# Inbound: where to, what s_client offers, what comes of it.

_SCREENED: Final = r"tlsproxy\[\d+\]: DISCONNECT \[{}\]"


def _inbound(
    port: int, options: tuple[str, ...] = TLS13, source: str = "127.84.0.1", **shape: str
) -> Step:
    def mail_comes_in(on: Stage) -> Iterator[Deed]:
        with (
            _one_client(on, source),
            secure_client(on.address, port, *options, source=source) as it,
        ):
            it.mail()
        yield Connection("inbound", "smtpd", **shape)  # type: ignore[arg-type]

    return mail_comes_in


@contextlib.contextmanager
def _one_client(on: Stage, source: str = "127.84.0.1") -> Iterator[None]:
    with on.logged(rf"disconnect from \S+\[{re.escape(source)}\]"):
        yield


def _group(group: str, name: str) -> Step:
    return _inbound(25, (*TLS13[:4], group), key_exchange=name)


def _below(version: str, protocol: str, cipher: str, port: int = 25, **shape: str) -> Step:
    options = (version, "-cipher", f"{cipher}:@SECLEVEL=0")
    return _inbound(port, options, protocol=protocol, cipher=cipher, key_exchange="", **shape)


def _with_certificate(service: str, signer: str, common_name: str, trust: str) -> Step:
    def client_shows_certificate(on: Stage) -> Iterator[Deed]:
        shown = on.authorities[signer].issue(f"client-{signer}", common_name)
        options = (*TLS13, "-cert", shown.certificate, "-key", shown.key)
        yield from _inbound(PORTS[service], options, trust=trust)(on)

    return client_shows_certificate


def _refused_certificate(signer: str) -> Step:
    def client_is_refused(on: Stage) -> Iterator[Deed]:
        yield from _with_certificate("demands", signer, "stranger.example", "Untrusted")(on)
        yield Noticed("verification failed")
        yield Noticed("TLS session refused")

    return client_is_refused


def _no_certificate(on: Stage) -> Iterator[Deed]:
    yield from _inbound(PORTS["demands"])(on)
    yield Noticed("TLS session refused")


def _resumed(options: tuple[str, ...], **shape: str) -> Step:
    def session_is_resumed(on: Stage) -> Iterator[Deed]:
        kept = str(on.directory / "session")
        yield from _inbound(25, (*options, "-sess_out", kept), **shape)(on)
        yield from _inbound(25, (*options, "-sess_in", kept), **shape)(on)

    return session_is_resumed


def _clear_inbound(on: Stage) -> Iterator[Deed]:
    for source in (CLIENTS["bulk.shop.example"], NAMELESS):
        with _one_client(on, source), clear_client(on.address, 25, source) as client:
            client.mail()
        yield Clear("inbound")


def _clear_without_mail(on: Stage) -> Iterator[Deed]:
    with _one_client(on), clear_client(on.address, 25) as client:
        client.say("EHLO client.example.test")
        client.say("QUIT")
    yield from ()


def _two_mails(on: Stage) -> Iterator[Deed]:
    with _one_client(on), secure_client(on.address, 25, *TLS13) as client:
        client.mail(last="RSET")
        client.mail()
    yield Connection("inbound", "smtpd")


def _screened(on: Stage) -> Iterator[Deed]:
    port, source = PORTS["screened"], "127.84.0.2"
    screened = secure_client(on.address, port, *TLS13, source=source)
    with on.logged(_SCREENED.format(source)), screened as client:
        client.mail()
    yield Connection("inbound", "tlsproxy")
    yield from _inbound(port, source=source)(on)  # known by now, so handed to smtpd


def _newer_forms(on: Stage) -> Iterator[Deed]:
    """What Postfix 3.7 and OpenSSL 3.0 do not know: groups, raw public keys."""
    if on.release >= (3, 8):
        yield from _group("ffdhe2048", "ffdhe2048")(on)
    if on.release >= (3, 9) and on.openssl >= (3, 2):
        shown = on.authorities["lab"].issue("raw", "raw.partner.example")
        raw, both = "-enable_server_rpk", "-enable_client_rpk"
        yield from _inbound(PORTS["raw"], (*TLS13, raw))(on)
        keys = (*TLS13, raw, both, "-cert", shown.certificate, "-key", shown.key)
        yield from _inbound(PORTS["raw"], keys, trust="Untrusted")(on)
    if on.openssl >= (3, 5):
        group = "X25519MLKEM768"
        yield from _inbound(PORTS["hybrid"], (*TLS13[:4], group), key_exchange=group)(on)


# Outbound: to which far server, what comes of it, and the session or failure.


def _outbound(name: str, status: str, *deeds: Deed) -> Step:
    def mail_goes_out(on: Stage) -> Iterator[Deed]:
        on.deliver(f"somebody@{name}.example", status)
        for deed in deeds:
            if isinstance(deed, Connection) and deed.key_exchange == "X25519":
                yield replace(deed, key_exchange=on.favourite_group)
            else:
                yield deed

    return mail_goes_out


def _to(trust: str, service: str = "smtp", **shape: Any) -> Connection:
    return Connection("outbound", service, trust, **shape)


def _unverified(name: str) -> Step:
    return _outbound(name, "deferred", _to("Untrusted"), Noticed("verification failed"), UNSENT)


def _wrong_name(on: Stage) -> Iterable[Deed]:
    trust = "Trusted" if on.release >= (3, 10, 4) else "Untrusted"
    return _outbound("wrongname", "deferred", _to(trust), Noticed("verification failed"), UNSENT)(
        on
    )


def _failing(name: str, reason: str) -> Step:
    return _outbound(name, "deferred", Failure("outbound", reason), UNSENT)


def _no_common_cipher(on: Stage) -> Iterable[Deed]:
    word = "ssl/tls" if on.openssl >= (3, 2) else "sslv3"
    return _failing("picky", f"{word} alert handshake failure")(on)


def _falls_back_to_clear(on: Stage) -> Iterator[Deed]:
    """A failed handshake, and when the mail has waited a while, clear text."""
    size = on.postfix.log_file.stat().st_size
    yield from _failing("fallback", "wrong version number")(on)
    time.sleep(2.1)  # minimal_backoff_time
    known = re.search(r"smtp\[\d+\]: (\w+): to=<somebody@fallback", on.log_since(size))
    assert known
    with on.logged(r"to=<somebody@fallback\.example>, .*status=sent"):
        on.sendmail(f"-qI{known[1]}")
    yield Failure("outbound", "wrong version number")
    yield Clear("outbound")


# Trouble of clients, and of configuration.


def _handshake_fails(reason: str, port: int, *options: str) -> Step:
    def client_fails(on: Stage) -> Iterator[Deed]:
        with _one_client(on):
            shake_hands(on.address, port, *options)
        yield Failure("inbound", reason)

    return client_fails


def _client_distrusts(*options: str) -> Step:
    def client_sends_alert(on: Stage) -> Iterable[Deed]:
        strict = ("-verify_return_error", "-CAfile", on.authorities["foreign"].file.as_posix())
        return _handshake_fails("tlsv1 alert unknown ca", 25, *options, *strict)(on)

    return client_sends_alert


def _speaks(service: str, sent: bytes, reason: str, source: str = "127.84.0.1") -> Step:
    """A client that sends this in place of a ClientHello."""

    def client_speaks(on: Stage) -> Iterator[Deed]:
        port = PORTS.get(service, 25)
        done = _SCREENED.format(source) if service == "screened" else "disconnect from "
        with on.logged(done), clear_client(on.address, port, source) as client:
            client.say("EHLO client.example.test")
            client.say("STARTTLS")
            client.send(sent)
            if sent:
                client.reply()
        yield Failure("inbound", reason)

    return client_speaks


def _speaks_clear_to_submissions(on: Stage) -> Iterator[Deed]:
    with on.logged("disconnect from "), clear_client(on.address, 465, greeted=False) as client:
        client.send(b"EHLO client.example.test\r\n")
        client.reply()
    yield Failure("inbound", "wrong version number")


def _too_many_sessions(on: Stage) -> Iterator[Deed]:
    for _ in range(2):
        yield from _inbound(PORTS["limited"])(on)
    yield Noticed("TLS session refused")
    with _one_client(on), clear_client(on.address, PORTS["limited"]) as client:
        client.say("EHLO client.example.test")
        client.say("STARTTLS")
        client.say("QUIT")
    yield Noticed("TLS session refused")


def _without_tls(service: str) -> Step:
    """A server that cannot do TLS, and takes the mail in clear."""

    def server_is_broken(on: Stage) -> Iterator[Deed]:
        with _one_client(on), clear_client(on.address, PORTS[service]) as client:
            client.say("EHLO client.example.test")
            client.say("STARTTLS")
            client.mail()
        yield Noticed("TLS disabled")
        yield Clear("inbound")

    return server_is_broken


def _hostile(*commands: bytes) -> Step:
    def client_is_hostile(on: Stage) -> Iterator[Deed]:
        with _one_client(on), clear_client(on.address, 25) as client:
            for one in commands:
                client.say(one)
            client.say("QUIT")
        yield from ()

    return client_is_hostile


def _debugged(on: Stage) -> Iterator[Deed]:
    yield from _inbound(PORTS["debug"])(on)
    yield from _outbound("debug", "sent", _to("Trusted"))(on)
    yield from [Noticed("debug logging")] * 2


CHAPTERS: dict[str, tuple[Step, ...]] = {
    "inbound": (
        _inbound(25),
        _inbound(25, source=NAMELESS),
        _inbound(465),
        _inbound(587),
        _inbound(25, ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-groups", "X25519"),
                 cipher="TLS_AES_128_GCM_SHA256"),
        _group("X448", "X448"),
        _group("P-256", "secp256r1"),
        _group("P-384", "secp384r1"),
        _group("P-521", "secp521r1"),
        _newer_forms,
        _below("-tls1_2", "TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"),
        _below("-tls1_2", "TLSv1.2", "DHE-RSA-AES256-GCM-SHA384"),
        _below("-tls1_2", "TLSv1.2", "AES256-SHA"),
        _below("-tls1_2", "TLSv1.2", "AECDH-AES256-SHA", PORTS["old"]),
        _below("-tls1_1", "TLSv1.1", "ECDHE-RSA-AES256-SHA", PORTS["old"]),
        _below("-tls1", "TLSv1", "ECDHE-RSA-AES256-SHA", PORTS["old"]),
        _inbound(PORTS["ecdsa"]),
        _inbound(PORTS["names"], (*TLS13, "-servername", "mx.other.test")),
        _inbound(PORTS["names"], (*TLS13, "-servername", "mx.unknown.test")),
        _inbound(PORTS["asks"]),
        _with_certificate("asks", "lab", "client.partner.example", "Trusted"),
        _with_certificate("asks", "foreign", "stranger.example", "Untrusted"),
        _with_certificate("demands", "lab", "client.partner.example", "Trusted"),
        _resumed(TLS13),
        _resumed(("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), protocol="TLSv1.2",
                 cipher="ECDHE-RSA-AES128-GCM-SHA256", key_exchange=""),
        _two_mails,
        _screened,
        _clear_inbound,
        _clear_without_mail,
    ),
    "outbound": (
        _outbound("trusted", "sent", _to("Trusted")),
        _outbound("trusted", "sent", _to("Trusted")),  # resumed
        _outbound("foreign", "sent", _to("Untrusted")),
        _outbound("p256", "sent", _to("Trusted", key_exchange="secp256r1")),
        _outbound("tls12", "sent", _to("Trusted", protocol="TLSv1.2", key_exchange="",
                                       cipher="ECDHE-ECDSA-AES128-GCM-SHA256")),
        _outbound("old", "sent", _to("Trusted", protocol="TLSv1.1", key_exchange="",
                                     cipher="ECDHE-ECDSA-AES256-SHA")),
        _outbound("anonymous", "sent", _to("Anonymous", protocol="TLSv1.2", key_exchange="",
                                           cipher="AECDH-AES256-SHA")),
        _outbound("verified", "sent", _to("Verified")),
        _outbound("reused", "sent", _to("Trusted")),
        _outbound("reused", "sent", _to("Trusted", reused=True)),
        _outbound("lmtps", "sent", _to("Trusted", "lmtp")),
        _outbound("dane", "sent", _to("Verified")),
        _outbound("halfdane", "sent", _to("Trusted")),
        _outbound("plain", "sent", Clear("outbound")),
        _outbound("refuses", "sent", Clear("outbound")),
        _outbound("local", "sent"),  # a Unix socket
    ),
    "trouble": (
        _handshake_fails("unsupported protocol", PORTS["floor"], "-tls1_1", *OLD),
        _handshake_fails("no suitable key share", PORTS["x25519"], "-tls1_3", "-groups", "X448"),
        _handshake_fails("no shared cipher", 25, "-tls1_2",
                         "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        _client_distrusts("-tls1_2"),
        _client_distrusts("-tls1_3"),
        _speaks("smtp", b"this is no TLS, and never was\r\n", "wrong version number"),
        _speaks("smtp", b"", "lost connection"),
        _speaks("screened", b"this is no TLS, and never was\r\n", "wrong version number"),
        _speaks("screened", b"", "no reason given"),
        _speaks_clear_to_submissions,
        _refused_certificate("foreign"),
        _refused_certificate("evil"),
        _no_certificate,
        _too_many_sessions,
        _with_certificate("asks", "lab", EVIL_NAME, "Trusted"),
        _hostile(b"EHLO \x1b[31m\xff\x01x"),
        _hostile(b"EHLO " + b"x" * 5000),
        _hostile(b"GET /: disabling TLS support"),
        _hostile(b"EHLO x", b"MAIL FROM:<a@b.example>", f"RCPT TO:<{INJECTED}>".encode()),
        _hostile(b"EHLO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<\xff\xfe\x07x@lab.test>"),
        *(_without_tls(one) for one in ("bare", "unlike", "misspelt", "lost")),
        _wrong_name,
        _unverified("strangers"),
        _unverified("expired"),
        _unverified("selfsigned"),
        _outbound("baddane", "sent", _to("Trusted"), Noticed("DANE unavailable")),
        _outbound("undane", "sent", _to("Trusted"), Noticed("DANE unavailable")),
        _outbound("mustplain", "deferred", UNSENT),
        _outbound("mustrefuses", "deferred", UNSENT),
        _failing("garbage", "wrong version number"),
        _failing("reusedgarbage", "wrong version number"),
        _failing("closes", "lost connection"),
        _failing("older", "unsupported protocol"),
        _failing("new", "tlsv1 alert protocol version"),
        _no_common_cipher,
        _outbound("misspelt", "deferred", Noticed("TLS disabled"), UNSENT),
        _falls_back_to_clear,
    ),
    "debug": (_debugged,),
}  # fmt: skip


def play(on: Stage, chapter: str) -> tuple[str, dict[str, Any]]:
    """Do all of a chapter; the log of it, and what was done."""
    size = on.postfix.log_file.stat().st_size
    done = truth([deed for step in CHAPTERS[chapter] for deed in step(on)])
    time.sleep(0.3)  # lines of processes that nobody waited for
    return on.log_since(size), done
