"""A private key and the certificates that go with it: whether Postfix can use them together."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Callable
from dataclasses import replace
from shlex import quote
from typing import Final

from postkeel.certificates import keys
from postkeel.certificates.certificate import Encoded, described, encoded, odd_extension
from postkeel.certificates.der import SEQUENCE, DerError, first
from postkeel.certificates.pem import Block
from postkeel.certificates.trust import Issuers, Roots, reach
from postkeel.certificates.values import Certificate, Chain, Fault, FaultKind
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

MOST_CERTIFICATES: Final = 16
ENCRYPTED: Final = "ENCRYPTED PRIVATE KEY"
KEY_LABELS: Final = (
    "PRIVATE KEY",
    ENCRYPTED,
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
)

Refusal = Callable[[bytes, bytes], str]
"""Why a program refuses certificates and their key, both in PEM; "" when it takes them."""

_LONGEST_REASON: Final = 200
_AGAIN: Final = "let its renewer write it again"
_ANOTHER: Final = "have another certificate issued"
_FEWER: Final = "keep the certificate and those that lead to its root"
_ORDER: Final = "put the private key's own certificate first, then each one's issuer"


@frozen
class Piece:
    """A PEM block and the file that it is in."""

    file: str
    block: Block


@frozen
class Group:
    """A private key, where one was found, and its certificates as they stand in the file.

    exact: Postfix refuses a block with more in it than the one certificate. Where it does not,
    what follows the first must be what `openssl x509 -trustout` puts there, in its beginning.
    """

    key: Piece | None
    certificates: tuple[Piece, ...]
    exact: bool


def taken(_certificates: bytes, _key: bytes) -> str:
    """Where nobody is asked."""
    return ""


def encrypted(piece: Piece, *, breaks: bool = True) -> Fault:
    """That a private key has a passphrase, and how to make one that has none."""
    file = quote(piece.file)
    return Fault(
        kind=FaultKind.KEY,
        file=piece.file,
        line=piece.block.line,
        what="the private key is encrypted, and Postfix has no passphrase for it",
        help=f"(umask 077; openssl pkey -in {file} -out {file}.plain), and use that file",
        breaks=breaks,
    )


class Judge:
    """Judges the groups of one credential, in order, and collects what is wrong with them."""

    def __init__(self, roots: Roots, refusal: Refusal) -> None:
        self._roots = roots
        self._refusal = refusal
        self._algorithms: set[str] = set()
        self.faults: list[Fault] = []

    def chain(self, group: Group) -> Chain | None:
        """The chain of a group; None where its first certificate cannot be had."""
        before = len(self.faults)
        private = self._private_key(group.key) if group.key else None
        read = [
            self._encoded(one, exact=group.exact, leaf=index == 0)
            for index, one in enumerate(group.certificates)
        ]
        if not read or read[0] is None:
            return None
        self._check_leaf(group, private, read)
        if group.key and not any(one.breaks for one in self.faults[before:]):
            self._ask(group.certificates, group.key)
        pairs = [(one, piece) for one, piece in zip(read, group.certificates, strict=True) if one]
        if len(pairs) > MOST_CERTIFICATES:
            what = f"of the chain's {len(pairs)} the first {MOST_CERTIFICATES} are looked at"
            self._add(FaultKind.CONTENT, pairs[MOST_CERTIFICATES][1], what, _FEWER, breaks=False)
        return self._followed(pairs[:MOST_CERTIFICATES])

    def _ask(self, certificates: tuple[Piece, ...], key: Piece) -> None:
        """Let somebody else look at what nothing was found in."""
        reason = self._refusal(b"".join(map(_again, certificates)), _again(key))
        if reason:
            what = f"OpenSSL refuses it: {one_line(reason, _LONGEST_REASON)}"
            self._add(FaultKind.CONTENT, certificates[0], what, _AGAIN)

    def _followed(self, pairs: list[tuple[Encoded, Piece]]) -> Chain:
        held = [one for one, _ in pairs]
        certificates = [described(one, piece.file, piece.block.line) for one, piece in pairs]
        issuers = Issuers(held, self._roots)
        trust, missing = reach(issuers, certificates, self._roots)
        self._check_order(held, certificates, issuers)
        shown = [
            _unchecked(one) if index in issuers.unchecked else one
            for index, one in enumerate(certificates)
        ]
        return Chain(certificates=tuple(shown), trust=trust, missing=missing)

    def _private_key(self, piece: Piece) -> keys.Half | None:
        block = piece.block
        if block.encrypted or block.label == ENCRYPTED:
            self.faults.append(encrypted(piece))
            return None
        try:
            half = keys.private_key(block.label, block.data)
        except DerError as error:
            self._add(FaultKind.KEY, piece, f"the private key cannot be read: {error}", _AGAIN)
            return None
        if not half.sort.name:
            what = f"the private key's algorithm {half.sort.algorithm} is none that TLS can use"
            self._add(FaultKind.KEY, piece, what, "get a key of ECDSA or RSA, and its certificate")
        return half

    def _encoded(self, piece: Piece, *, exact: bool, leaf: bool) -> Encoded | None:
        try:
            one = encoded(piece.block.data)
        except DerError as error:
            reason = one_line(str(error), _LONGEST_REASON)
            self._add(FaultKind.CONTENT, piece, f"the certificate cannot be read: {reason}", _AGAIN)
            return None
        excess = piece.block.data[len(one.whole) :]
        if excess and (exact or (leaf and not _is_sequence(excess))):
            what = "there is more in the certificate's block than the certificate"
            self._add(FaultKind.CONTENT, piece, what, _AGAIN)
        if leaf and (reason := odd_extension(one)):
            # Releases of OpenSSL differ in that: 3.0 refuses to load it, 3.5 does not.
            self._add(FaultKind.CONTENT, piece, reason, _ANOTHER, breaks=False)
        return one

    def _check_leaf(
        self, group: Group, private: keys.Half | None, read: list[Encoded | None]
    ) -> None:
        leaf = group.certificates[0]
        public = _public_key(read[0])
        if public is None or not public.sort.name:
            what = "the certificate's key is of an algorithm that TLS cannot use"
            self._add(FaultKind.KEY, leaf, what, "get a certificate for a key of ECDSA or RSA")
            return
        if public.sort.algorithm in self._algorithms:
            what = f"a second certificate with a key of {public.sort.name}: Postfix takes only one"
            self._add(FaultKind.KEY, leaf, what, "keep one key of each algorithm")
        self._algorithms.add(public.sort.algorithm)
        if public.sort.name.startswith(keys.NEW):
            what = f"only OpenSSL 3.5 and later can use a key of {public.sort.name}"
            advice = "add a certificate with a key of ECDSA or RSA"
            self._add(FaultKind.KEY, leaf, what, advice, breaks=False)
        if group.key and private and not keys.belong_together(public, private):
            own = [
                one for one in zip(read, group.certificates, strict=True) if _is_of(one[0], private)
            ]
            if own:
                what = "the private key's own certificate is not the first"
                self._add(FaultKind.ORDER, own[0][1], what, _ORDER)
            elif private.sort.name:
                self._add_foreign(leaf.file, group.key)

    def _add_foreign(self, certificate: str, key: Piece) -> None:
        what = f"the private key is not that of the certificate in {certificate}"
        compare = "compare: openssl pkey -pubout -in {} and openssl x509 -noout -pubkey -in {}"
        self._add(FaultKind.KEY, key, what, compare.format(quote(key.file), quote(certificate)))

    def _check_order(
        self, held: list[Encoded], certificates: list[Certificate], issuers: Issuers
    ) -> None:
        """The first certificate that does not stand somewhere behind one that it issued.

        Not where the leaf is not the first either: that has been said.
        """
        if any(one.kind is FaultKind.ORDER and one.breaks for one in self.faults):
            return
        for index in range(1, len(held)):
            above = range(index)
            if any(held[one].digest == held[index].digest for one in above):
                what, advice = "stands here a second time", "remove one of the two"
            elif not any(issuers.issued(index, one) for one in above):
                what, advice = "issued none of the certificates before it", _ORDER
            elif not certificates[index].authority:
                what, advice = "issued one before it, but is no authority", _ORDER
            else:
                continue
            one = certificates[index]
            text = f"the certificate of {one.subject!r} {what}"
            self.faults.append(
                Fault(
                    kind=FaultKind.ORDER,
                    file=one.file,
                    line=one.line,
                    what=text,
                    help=advice,
                    breaks=False,
                )
            )
            return

    def _add(
        self, kind: FaultKind, piece: Piece, what: str, advice: str, *, breaks: bool = True
    ) -> None:
        self.faults.append(
            Fault(
                kind=kind,
                file=piece.file,
                line=piece.block.line,
                what=what,
                help=advice,
                breaks=breaks,
            )
        )


def _again(piece: Piece) -> bytes:
    """The block in PEM."""
    label, lines = piece.block.label, encodebytes(piece.block.data).decode("ascii")
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n".encode("ascii")


def _public_key(one: Encoded | None) -> keys.Half | None:
    try:
        return keys.public_key(one.key)[0] if one else None
    except DerError:
        return None


def _is_of(one: Encoded | None, private: keys.Half) -> bool:
    """Whether a certificate is for the private key."""
    public = _public_key(one)
    return public is not None and keys.belong_together(public, private)


def _is_sequence(data: bytes) -> bool:
    try:
        return first(data).tag == SEQUENCE
    except DerError:
        return False


def _unchecked(one: Certificate) -> Certificate:
    what = f"its signature ({one.signature}) could not be checked, its issuer was found by name"
    return replace(one, problems=(*one.problems, what))
