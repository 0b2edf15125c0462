"""Rounds of probes made of few words: what a case leaves out is as it is when all is well.

A case is a table of these keys, all of which may be missing:

    about        why the case is there
    main_cf, master_cf, postfix   as `make_instance` has them; main_cf is added to `MAIN_CF`
    options      of the plugin, beside probe_every
    probe        list of tables with the fields of `Probed`, and service, host, port, direct and
                 login of its target; one right probe where there is none
    late, others, left, problem   as `ProbeResult` has them
    before       a list like `probe`: the round before this one

header and lines are texts; a header is put below what local(8) writes above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from postkeel.contract import Probed, ProbeResult, Target

NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
QUEUE_ID: Final = "4F1282AC977"
MAIN_CF: Final = """\
myhostname = mx.example.test
mydestination = $myhostname, localhost
smtpd_tls_chain_files = /etc/ssl/mx.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
inet_interfaces = all
"""
HEADER: Final = f"""\
Received: from [127.0.0.1] (localhost [127.0.0.1])
\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)
\t(No client certificate requested)
\tby mx.example.test (Postfix) with ESMTPS id {QUEUE_ID}
\tfor <_postkeel@mx.example.test>; Mon, 23 Nov 2026 12:00:00 +0000 (UTC)
"""
LINES: Final = f"""\
connect from localhost[127.0.0.1]
Anonymous TLS connection established from localhost[127.0.0.1]: TLSv1.3 with cipher \
TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) \
server-digest SHA256
{QUEUE_ID}: client=localhost[127.0.0.1]
disconnect from localhost[127.0.0.1] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7
"""
_ABOVE: Final = """\
Return-Path: <>
X-Original-To: _postkeel@mx.example.test
Delivered-To: _postkeel@mx.example.test
"""
_BELOW: Final = "Subject: postkeel probe\nX-Postkeel-Probe: 1\n\n"
_TARGET: Final = {"service": "smtp/inet", "host": "127.0.0.1", "port": "25"}
_TARGET_KEYS: Final = ("service", "host", "port", "direct", "login")

Words = Mapping[str, Any]


def result_of(case: Words) -> ProbeResult:
    """The round that a case tells of."""
    return ProbeResult(
        probed=tuple(map(probed_of, case.get("probe", [{}]))),
        late=tuple(case.get("late", ())),
        others=case.get("others", 0),
        left=case.get("left", 0),
        problem=case.get("problem", ""),
    )


def probed_of(words: Words) -> Probed:
    """One probe; one that has a stage did not arrive, so it has neither header nor lines."""
    target = _TARGET | {one: words[one] for one in _TARGET_KEYS if one in words}
    given = {one: value for one, value in words.items() if one not in _TARGET_KEYS}
    arrived = not given.get("stage")
    plain = {
        "protocol": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "bits": 256,
        "queue_id": QUEUE_ID if arrived else "",
        "seconds": 0.25,
    }
    header, lines = (given.pop(one, text if arrived else "") for one, text in _TEXTS.items())
    return Probed(
        **{**plain, **given},
        target=Target(**target),
        header=f"{_ABOVE}{header}{_BELOW}".encode() if arrived else b"",
        lines=logged(lines.splitlines()),
    )


_TEXTS: Final = {"header": HEADER, "lines": LINES}


def logged(messages: Iterable[str], name: str = "postfix/smtpd[124]") -> bytes:
    """Messages of one process as lines of a log."""
    stamp = NOW.isoformat()
    return "".join(f"{stamp} mx {name}: {one}\n" for one in messages).encode()
