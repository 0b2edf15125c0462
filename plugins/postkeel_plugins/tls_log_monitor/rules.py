"""What this plugin alarms about: each rule with its reason and where that is written."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Rule

_README: Final = "Postfix TLS_README"

CLEAR_AFTER_TLS: Final = Rule(
    id="clear-text-after-tls",
    why="This peer always had TLS before. Clear text now is a fault at one end, or somebody"
    " between the two who takes STARTTLS out of the conversation.",
    references=(
        "RFC 3207, section 6 (an active attacker deletes STARTTLS)",
        "RFC 7435, section 3 (opportunistic security)",
        "RFC 8461, section 1 (MTA-STS, against the same)",
    ),
)
HANDSHAKES_FAIL: Final = Rule(
    id="handshakes-fail",
    why="More handshakes fail than usual. After a change here it is the change that peers cannot"
    " follow; without one it is a certificate, a large peer, or a scanner.",
    references=(f"{_README}, section 'Reporting problems'", "RFC 8460, section 4.3 (result types)"),
)
WEAKER_THAN_CONFIGURED: Final = Rule(
    id="weaker-than-configured",
    why="The configuration forbids what was agreed upon. So the running Postfix has another one:"
    " it was not reloaded, or a service reads other settings than it seems.",
    references=(
        "RFC 8996, sections 4 and 5 (TLS 1.0 and 1.1 must not be used)",
        "postfix(1), reload",
        "postconf(5), smtpd_tls_protocols",
    ),
)
TLS_DISABLED: Final = Rule(
    id="tls-disabled",
    why="Postfix goes on without TLS when a certificate, a key or a list of protocols cannot be"
    " used, and says so in the log alone.",
    references=(
        f"{_README}, section 'Server-side certificate and private key configuration'",
        "Postfix src/tls/tls_certkey.c and src/tls/tls_server.c",
    ),
)
UNVERIFIED_RELAY: Final = Rule(
    id="relay-not-verified",
    why="All mail goes through this server, so who answers in its place reads all mail.",
    references=(
        f"{_README}, section 'Mandatory server certificate verification'",
        "postconf(5), relayhost",
        "RFC 9525, section 6 (names in certificates)",
    ),
)
DANE_OFF: Final = Rule(
    id="dane-off",
    why="DANE is configured and cannot work: without answers that DNSSEC vouches for, or with"
    " TLSA records of no use, Postfix falls back to TLS with anybody.",
    references=(
        "RFC 7672, section 2.2 (DANE for SMTP)",
        f"{_README}, section 'DANE TLS authentication'",
        "postconf(5), dnssec_probe",
    ),
)
LINES_LOST: Final = Rule(
    id="log-lines-lost",
    why="What is missing was not counted, and what it would have told was not told. With journald"
    " it is most often the rate limit (RateLimitBurst), with files a rotation that truncates.",
    references=("journald.conf(5), RateLimitIntervalSec", "logrotate(8), copytruncate"),
)
NO_TLS_LINES: Final = Rule(
    id="tls-lines-missing",
    why="Sessions had TLS and no line says of which kind. The running Postfix has another log"
    " level than its files, or lines are filtered on their way.",
    references=("postconf(5), smtpd_tls_loglevel", f"{_README}, Server-side TLS activity logging"),
)
NOT_LOGGED: Final = Rule(
    id="tls-not-logged",
    why="Postfix logs nothing of TLS at level 0, so nothing can be counted or forecast. Level 1"
    " gives one line a session.",
    references=("postconf(5), smtpd_tls_loglevel", "postconf(5), smtp_tls_loglevel"),
)
DEBUG_LOGGED: Final = Rule(
    id="tls-debug-logged",
    why="Level 2 and more log each step of each handshake: for finding a fault. In everyday use it"
    " buries what matters and makes journald drop lines. Level 1 tells all that is counted here.",
    references=("postconf(5), smtpd_tls_loglevel: 'Do not use log level 2 or higher'",),
)

RULES: Final = (
    CLEAR_AFTER_TLS,
    HANDSHAKES_FAIL,
    WEAKER_THAN_CONFIGURED,
    TLS_DISABLED,
    UNVERIFIED_RELAY,
    DANE_OFF,
    LINES_LOST,
    NO_TLS_LINES,
    NOT_LOGGED,
    DEBUG_LOGGED,
)
WHY: Final = {one.id: one.why for one in RULES}


def witness(source: str, *, proven: bool) -> str:
    """Who vouches for lines of this source, for the reason of a finding."""
    if proven:
        return "journald vouches for who wrote it"
    return f"read in {source}, where others than Postfix may write"
