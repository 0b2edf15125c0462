"""Whom a generated mail log talks of, and in what words."""

from __future__ import annotations

import random

NO_TLS = ("", "", "", 0, "", "", False)
"""The fields of a session in clear text, but for its direction."""

ENDINGS = ("example", "example", "test", "co.uk", "de", "ab.de", "com.au", "example.org")


class Party:
    """A host as Postfix writes it, and the domain by which it is counted."""

    __slots__ = ("address", "domain", "host", "text")

    def __init__(self, host: str, address: str, domain: str = "") -> None:
        self.host = host
        self.address = address
        self.domain = domain or host.lower()
        self.text = f"{host}[{address}]"


def parties(dice: random.Random, number: int) -> list[Party]:
    """So many hosts: most have a name, some an address alone, some speak IPv6."""
    made = []
    for count in range(number):
        address = ".".join(str(dice.randrange(1, 255)) for _ in range(4))
        if count % 7 == 3:
            address = f"2001:db8::{count:x}:25"
        if count % 5 == 4:
            made.append(Party("unknown", address, f"[{address}]"))
            continue
        if count % 40 == 6:
            made.append(Party(address, address, f"[{address}]"))
            continue
        ending = dice.choice(ENDINGS)
        kept = ending if ending in ("ab.de", "example.org") else f"peer{count // 2}.{ending}"
        host = f"mail{count}.peer{count // 2}.{ending}"
        # With three labels kept of "ab.de", the peer's own label is one of them.
        domain = f"peer{count // 2}.ab.de" if kept == "ab.de" else kept
        made.append(Party(host.upper() if count % 50 == 8 else host, address, domain))
    return made


class Suite:
    """What a handshake came to: the words after the peer, and the session that they tell of.

    session: protocol, cipher, bits, key exchange, signature. with_client: the words
    that a client's certificate adds.
    """

    __slots__ = ("session", "text", "with_client")

    def __init__(self, protocol: str, cipher: str, exchange: str = "", signature: str = "") -> None:
        bits = 128 if "128" in cipher else 256
        self.text = f"{protocol} with cipher {cipher} ({bits}/{bits} bits)"
        self.with_client = ""
        key_exchange = KEY_EXCHANGES.get(exchange, "")
        if exchange:
            self.text += f" key-exchange {exchange} server-signature {signature}"
            self.with_client = " client-signature RSA-PSS (2048 bits) client-digest SHA256"
        self.session = (protocol, cipher, bits, key_exchange, SIGNATURES.get(signature, ""))


KEY_EXCHANGES = {
    "X25519": "X25519",
    "x25519": "X25519",
    "ECDHE (prime256v1)": "secp256r1",
    "secp256r1": "secp256r1",
    "DHE (2048 bits)": "ffdhe2048",
    "ffdhe2048": "ffdhe2048",
    "X25519MLKEM768": "X25519MLKEM768",
}
"""How builds of Postfix name a group, and its name of today."""

RESUMED = "RSA-PSS (2048 bits)"
RSA = f"{RESUMED} server-digest SHA256"
ECDSA = "ECDSA (prime256v1) server-digest SHA256"
RAW = "ECDSA (prime256v1 raw public key) server-digest SHA256"
RAW_RSA = "RSA-PSS (2048 bit raw public key) server-digest SHA256"
RAW_ALONE = "ed25519 (raw public key)"
SIGNATURES = {
    RESUMED: "RSA-PSS",
    RSA: "RSA-PSS",
    ECDSA: "ECDSA",
    RAW: "ECDSA raw public key",
    RAW_RSA: "RSA-PSS raw public key",
    RAW_ALONE: "ed25519 raw public key",
}

AES256 = "TLS_AES_256_GCM_SHA384"
MIX = (
    (40, Suite("TLSv1.3", AES256, "X25519", RSA)),
    (9, Suite("TLSv1.3", AES256, "x25519", RSA)),
    (9, Suite("TLSv1.3", AES256, "X25519", RESUMED)),
    (6, Suite("TLSv1.3", AES256, "ECDHE (prime256v1)", RSA)),
    (4, Suite("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", "secp256r1", ECDSA)),
    (4, Suite("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519MLKEM768", ECDSA)),
    (1, Suite("TLSv1.3", AES256, "DHE (2048 bits)", RSA)),
    (1, Suite("TLSv1.3", AES256, "ffdhe2048", RSA)),
    (1, Suite("TLSv1.3", AES256, "X25519", RAW)),
    (1, Suite("TLSv1.3", AES256, "X25519", RAW_RSA)),
    (1, Suite("TLSv1.3", AES256, "X25519MLKEM768", RAW_ALONE)),
    (20, Suite("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384")),
    (8, Suite("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")),
    (2, Suite("TLSv1.2", "AES128-SHA")),
    (2, Suite("TLSv1", "ECDHE-RSA-AES256-SHA")),
    (1, Suite("TLSv1.1", "ECDHE-RSA-AES256-SHA")),
)
SUITES = tuple(suite for weight, suite in MIX for _ in range(weight))

LIBRARY = "warning: TLS library problem: error:"
FAILURES = (
    (
        "-1",
        (f"{LIBRARY}0A000102:SSL routines::unsupported protocol:../ssl/statem/srvr.c:1664:",),
        "unsupported protocol",
    ),
    (
        "-1",
        (f"{LIBRARY}0A00010B:SSL routines::wrong version number:../ssl/record/ssl3_record.c:350:",),
        "wrong version number",
    ),
    (
        "-1",
        (
            (
                f"{LIBRARY}1408F10B:SSL routines:ssl3_get_record:wrong version number:"
                "../ssl/record/ssl3_record.c:332:"
            ),
        ),
        "wrong version number",
    ),
    (
        "-1",
        (
            (
                f"{LIBRARY}0A000418:SSL routines::tlsv1 alert unknown ca:"
                "../ssl/record/rec_layer_s3.c:1584:SSL alert number 48:"
            ),
        ),
        "tlsv1 alert unknown ca",
    ),
    (
        "-1",
        (
            (
                f"{LIBRARY}0A000065:SSL routines::no suitable key share:"
                "../ssl/statem/extensions.c:1408:"
            ),
            f"{LIBRARY}0A0000C1:SSL routines::no shared cipher:../ssl/statem/statem_srvr.c:2220:",
        ),
        "no suitable key share",
    ),
    ("lost connection", (), "lost connection"),
    ("Connection timed out", (), "Connection timed out"),
)
"""How a handshake fails: the end of Postfix's line, lines of the library, the reason counted."""

NOTICES = (
    (
        "postfix/smtpd",
        "warning: No server certs available. TLS won't be enabled",
        "TLS disabled",
    ),
    (
        "postfix/smtp",
        "server certificate verification failed for {peer}:25: num=62:hostname mismatch",
        "verification failed",
    ),
    (
        "postfix/smtp",
        "certificate verification failed for {peer}:25: untrusted issuer /CN=Other Root",
        "verification failed",
    ),
    (
        "postfix/smtp",
        "warning: {peer}:25: all TLSA records unusable, fallback to unauthenticated TLS",
        "DANE unavailable",
    ),
    (
        "postfix/smtp",
        (
            "7DDEF2AC994: to=<b@reqtls.test>, relay={peer}:25, delay=0.06, delays=0.01/0.03/0.02/0,"
            " dsn=4.7.4, status=deferred (TLS is required, but was not offered by host {peer})"
        ),
        "TLS required and not to be had",
    ),
    (
        "postfix/smtpd",
        "warning: New TLS session rate limit exceeded: 12 from {peer} for service smtp",
        "TLS session refused",
    ),
    (
        "postfix/smtp",
        (
            "TLSRPT: status=failure, domain=peer1.example, receiving_mx={peer},"
            " failure_type=certificate-expired"
        ),
        "TLSRPT failure",
    ),
)
"""Lines that are news: by whom, the text, the kind of notice."""

FORGED = (
    (
        '"x]: Anonymous TLS connection established from q[1.2.3.4]: TLSv1.3 with cipher'
        ' TLS_AES_256_GCM_SHA384 (256/256 bits)"@lab.test'
    ),
    (
        '"a>, relay=evil.example[192.0.2.66]:25, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent ("'
        "@lab.test"
    ),
    (
        '"\\"]: postfix/smtp[9]: Verified TLS connection established to a.b[1.2.3.4]:25: TLSv1 with'
        ' cipher RC4-MD5 (128/128 bits)"@lab.test'
    ),
    '"SSL_accept error from a[1.2.3.4]: -1"@lab.test',
)
"""Recipients, replies and messages that hold what a Postfix would write."""

BACKGROUND = (
    ("dovecot", "imap-login: Login: user=<a@lab.test>, method=PLAIN, rip=192.0.2.7, TLS"),
    ("dovecot", "lmtp(a@lab.test)<1234><x>: sieve: msgid=<]: a>: stored mail into mailbox 'INBOX'"),
    ("opendkim[640]", "4g0001: DKIM verification successful (s=s1 d=peer1.example, 2048-bit)"),
    ("rspamd[641]", "<a1b2c3>; proxy; rspamd_task_write_log: id: <x@y>, action: no action"),
    ("kernel", "[12345.678901] TCP: request_sock_TCP: Possible SYN flooding on port 25."),
    ("CRON[777]", "(root) CMD (cd / && run-parts --report /etc/cron.hourly)"),
    ("postfix/anvil[88]", "statistics: max connection rate 4/60s for (smtp:192.0.2.7) at 10:00:00"),
    ("postfix/scache[89]", "statistics: start interval Nov 22 10:00:00"),
    ("postfix/master[1]", "reload -- version 3.7.11, configuration /etc/postfix"),
    ("postfix/smtpd[12]", "warning: hostname x.example does not resolve to address 192.0.2.8"),
)
"""What else stands in a mail log."""
