"""What three witnesses say of one session: the handshake, the Received line, the mail log.

Security: header and lines may hold what strangers wrote. Of their words only those come
through that are protocols and cipher suites; what else they say is told in words of this module.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from postkeel.contract import Probed, frozen
from postkeel.headers.cipher_names import protocol_name, read_suite
from postkeel.headers.values import Hop, Verdict
from postkeel.maillog.values import NOT_LOGGED
from postkeel.postfix.protocols import PROTOCOLS

ANOTHER: Final = "(another)"
"""Stands for a protocol or cipher suite that is none which is known."""

_PARTS: Final = re.compile(
    r"(?:(?:TLS|AES(?:128|256)?|AESGCM|ARIA(?:128|256)?|CAMELLIA(?:128|256)?|CHACHA20|POLY1305|GCM|CCM8?"
    r"|CBC3?|3?DES|EDE|RC[24]|SEED|IDEA|NULL|EXP|SHA(?:256|384|512)?|MD5|SM[34]|RSA|DSS|ECDSA|PSK|SRP"
    r"|A?DH|AECDH|E?DHE?|EDH|ECDHE?|128|256|8)(?:[-_]|$)){1,12}"
)
"""What names of cipher suites are made of."""
_ENCRYPTED_WORD: Final = re.compile(r"(?:E?SMTP|LMTP|UTF8SMTP|UTF8LMTP)SA?")


class Account(str, Enum):
    """What a witness says of the session."""

    TLS = "TLS"
    UNTOLD = "TLS, and not which"
    CLEAR = "in clear"
    WITHIN = "handed over within the host"
    FOREIGN = "of another session"
    HIDDEN = "hidden on purpose"
    SILENT = "nothing"


CONTRADICTING: Final = (Account.CLEAR, Account.WITHIN, Account.FOREIGN)
"""Of a session that had TLS, these are told of another one."""
QUIET: Final = (Account.UNTOLD, Account.SILENT)


@frozen
class Witness:
    """protocol, cipher: with TLS, by OpenSSL's names, or `ANOTHER`."""

    account: Account
    protocol: str = ""
    cipher: str = ""

    def __str__(self) -> str:
        if self.account is Account.TLS:
            return f"{self.protocol} with {self.cipher}"
        return str(self.account.value)


@frozen
class Testimony:
    """What the three say of one probe that was delivered."""

    handshake: Witness
    header: Witness
    log: Witness

    def __str__(self) -> str:
        return f"handshake: {self.handshake}; header: {self.header}; log: {self.log}"

    @property
    def contradicted(self) -> bool:
        return self.contradicts(self.header) or self.contradicts(self.log)

    def contradicts(self, witness: Witness) -> bool:
        """Whether it tells of another session than the handshake was of."""
        if witness.account is Account.TLS:
            return witness != self.handshake
        return witness.account in CONTRADICTING


def testimony(probed: Probed, *, proxied: bool) -> Testimony:
    """What the witnesses of a delivered probe say.

    proxied: smtpd hands what it takes to a filter before it answers (smtpd_proxy_filter), so
    the queue id of the answer is one that its own Received line does not have.
    """
    known = "" if proxied else probed.queue_id
    return Testimony(
        handshake=handshake_of(probed),
        header=_header(probed.header, known),
        log=_log(probed),
    )


def handshake_of(probed: Probed) -> Witness:
    """What the probe itself saw; nothing where no TLS came about."""
    if not probed.protocol:
        return Witness(account=Account.SILENT)
    return _tls(probed.protocol, probed.cipher)


def _header(header: bytes, queue_id: str) -> Witness:
    """Of the lowest Received line, for the probe itself brought none."""
    from postkeel.headers.fields import trace_of
    from postkeel.headers.received import read_hop

    lines = trace_of(header).received
    if not lines:
        return Witness(account=Account.SILENT)
    hop = read_hop(lines[-1])
    if queue_id and hop.identity and hop.identity != queue_id:
        return Witness(account=Account.FOREIGN)
    return _of_hop(hop)


def _of_hop(hop: Hop) -> Witness:
    if hop.tls is not None and hop.tls.protocol and hop.tls.cipher:
        return _tls(hop.tls.protocol, hop.tls.cipher)
    if hop.tls is not None or _ENCRYPTED_WORD.fullmatch(hop.protocol):
        return Witness(account=Account.UNTOLD)
    if hop.verdict is Verdict.LOCAL and hop.protocol:
        # A word of SMTP's: over loopback, where the probe itself comes from, but without TLS.
        return Witness(account=Account.CLEAR)
    return Witness(account=_ACCOUNTS.get(hop.verdict, Account.SILENT))


_ACCOUNTS: Final = {
    Verdict.HIDDEN: Account.HIDDEN,
    Verdict.LOCAL: Account.WITHIN,
    Verdict.CLEAR: Account.CLEAR,
}


def _log(probed: Probed) -> Witness:
    """Of the lines of the process that took the message."""
    from postkeel.maillog.one_session import read_session

    _, session = read_session(probed.lines, direct=probed.target.direct)
    if session is None:
        return Witness(account=Account.SILENT)
    if session.clear:
        return Witness(account=Account.CLEAR)
    if session.protocol == NOT_LOGGED:
        return Witness(account=Account.UNTOLD)
    return _tls(session.protocol, session.cipher)


def _tls(protocol: str, cipher: str) -> Witness:
    """The names as they may be shown and compared."""
    version = protocol_name(protocol)
    suite = read_suite(cipher, version).cipher
    return Witness(
        account=Account.TLS,
        protocol=version if version in PROTOCOLS else ANOTHER,
        cipher=suite if _PARTS.fullmatch(suite) else ANOTHER,
    )
